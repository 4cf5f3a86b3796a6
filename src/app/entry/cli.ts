import { realpathSync } from "node:fs";
import { dirname } from "node:path";

import { runCli, whenInterrupted } from "../cli/index.ts";

const { stdout, stderr } = process;
const verb = process.argv[2] ?? "";
// They end in order when they are told to, what they started with them, and nobody has to read them.
const runsServer = verb === "serve" || verb === "demo";

const unread = new AbortController();
let isLost = false;
stderr.on("error", () => undefined);
stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (runsServer) return;
  // `lastgood history | head` closes the pipe early; that is no error.
  if (error.code === "EPIPE") unread.abort();
  else if (!isLost) {
    isLost = true;
    stderr.write(`error: the answer could not be written: ${error.message}\n`);
  }
  if (isLost && (process.exitCode ?? 0) === 0) process.exitCode = 1;
});

if (!runsServer) {
  process.once("SIGINT", () => {
    stderr.write(`\n${whenInterrupted(verb)}\n`);
    process.exit(130);
  });
}

void runCli({
  argv: process.argv.slice(2),
  env: process.env,
  programFolder: dirname(realpathSync(process.argv[1] ?? ".")),
  stdout,
  stderr,
  unread: unread.signal,
  isTerminal: stdout.isTTY,
  colour: stdout.isTTY && stdout.hasColors(),
  // A terminal that nobody gave a size says 0.
  columns: stdout.columns === 0 ? undefined : stdout.columns,
}).then((exitCode) => {
  process.exitCode = isLost && exitCode === 0 ? 1 : exitCode;
  // A story that was broken off goes on telling itself to a server that is gone.
  if (verb === "demo") process.exit();
});
