export { readJsonFile, type ModelFile } from "./model-files.ts";
export { modelNameOf } from "./model-name.ts";
export { readModel, readSteps, type FoundModel, type StepFiles } from "./read-model.ts";
export { parseYaml } from "./yaml-file.ts";
export { registerBody, registerModel, type Registering, type SlowSteps } from "./register-model.ts";
