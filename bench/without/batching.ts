/** Built in place of `src/serving/runtime-onnx/request-queue.ts`: no two requests share a frame. */
import type { Tensor } from "../../src/core/tensor/index.ts";
import { rowsOf } from "../../src/serving/runtime-onnx/batch.ts";
import type { Waiting } from "../../src/serving/runtime-onnx/request-queue.ts";

export { RequestQueue, type Waiting } from "../../src/serving/runtime-onnx/request-queue.ts";

export function sharing(inputs: readonly Tensor[]): Pick<Waiting, "key" | "rows"> {
  return { key: null, rows: rowsOf(inputs) ?? 1 };
}
