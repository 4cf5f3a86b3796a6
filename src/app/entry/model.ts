import { readStartup } from "../../link/startup/index.ts";
import { runModelProcess } from "../../serving/runtime-onnx/index.ts";

void runModelProcess(readStartup(), process.env);
