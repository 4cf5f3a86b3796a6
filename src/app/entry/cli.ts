import { realpathSync } from "node:fs";
import { dirname } from "node:path";

import { runCli } from "../cli/index.ts";

const { stdout, stderr } = process;

// `lastgood history | head` closes the pipe early; that is no error.
for (const stream of [stdout, stderr]) stream.on("error", () => undefined);

const [, , verb] = process.argv;
if (verb !== "serve") {
  process.once("SIGINT", () => {
    // An import is the command line's own work, and ends with it.
    const left =
      verb === "import"
        ? "stopped: what was imported stays; type the same again to go on"
        : "detached: what was asked for goes on at the server (status shows it)";
    stderr.write(`\n${left}\n`);
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
