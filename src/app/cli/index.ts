export { whenInterrupted } from "./interrupted.ts";
export { runCli, type CliOptions } from "./run.ts";
export type { Output, TerminalOptions } from "./terminal.ts";
