export { parseMlflowModel, type InputExample, type MlflowModel } from "./mlflow-model.ts";
export {
  columnsFromMlflow,
  signatureFromMlflow,
  takesArrays,
  type MlflowSignature,
} from "./mlflow-signature.ts";
