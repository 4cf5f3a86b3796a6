import { realpathSync } from "node:fs";
import { dirname } from "node:path";

import { runCli } from "../cli/index.ts";

const { stdout, stderr } = process;

// `lastgood history | head` closes the pipe early; that is no error.
for (const stream of [stdout, stderr]) stream.on("error", () => undefined);

if (process.argv[2] !== "serve") {
  process.once("SIGINT", () => {
    stderr.write("\ndetached: what was asked for goes on at the server (status shows it)\n");
    process.exit(130);
  });
}

void runCli({
  argv: process.argv.slice(2),
  env: process.env,
  programFolder: dirname(realpathSync(process.argv[1] ?? ".")),
  stdout,
  stderr,
  isTerminal: stdout.isTTY,
  colour: stdout.isTTY && stdout.hasColors(),
  columns: stdout.columns,
}).then((exitCode) => {
  process.exitCode = exitCode;
});
