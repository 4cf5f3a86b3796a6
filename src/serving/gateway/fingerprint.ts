import { createHash } from "node:crypto";

import type { Tensor } from "../../core/tensor/index.ts";

/** Tells a request's inputs from others'; made only of what has ended a process twice. */
export function fingerprint(inputs: readonly Tensor[]): string {
  const hash = createHash("sha256");
  for (const { name, dtype, shape, data } of inputs) {
    hash.update(`${JSON.stringify([name, dtype, shape])}\n`);
    hash.update(ArrayBuffer.isView(data) ? data : JSON.stringify(data));
  }
  return hash.digest("hex");
}
