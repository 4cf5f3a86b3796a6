import { runShim } from "../../serving/runtime-process/index.ts";

void runShim(process.argv[2]);
