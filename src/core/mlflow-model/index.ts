export { parseMlflowModel, type InputExample, type MlflowModel } from "./mlflow-model.ts";
export {
  columnsFromMlflow,
  NAMELESS_OUTPUT,
  signatureFromMlflow,
  type MlflowSignature,
} from "./mlflow-signature.ts";
