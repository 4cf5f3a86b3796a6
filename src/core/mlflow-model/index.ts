export { parseMlflowModel, type InputExample, type MlflowModel } from "./mlflow-model.ts";
export { signatureFromMlflow, type MlflowSignature } from "./mlflow-signature.ts";
