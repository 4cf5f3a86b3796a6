import { readStartup } from "../../link/startup/index.ts";
import { runShim } from "../../serving/runtime-process/index.ts";

void runShim(readStartup());
