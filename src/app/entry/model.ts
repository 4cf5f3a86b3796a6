import { runModelProcess } from "../../serving/runtime-onnx/index.ts";

void runModelProcess(process.argv[2], process.env);
