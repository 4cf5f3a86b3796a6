import { expect, test } from "vitest";

import { redactedTensors, redactedUnread } from "../../core/redaction/index.ts";
import { inputLines } from "./describe-inputs.ts";

test("each input is a line, with what is odd about it first", () => {
  const tensors = [
    { name: "features", dtype: "FP32", shape: [1, 3], data: Float32Array.of(NaN, -2, 345) },
    { name: "age", dtype: "INT64", shape: [1], data: BigInt64Array.of(42n) },
    { name: "member", dtype: "BOOL", shape: [2], data: Uint8Array.of(0, 1) },
    { name: "name", dtype: "BYTES", shape: [2], data: ["", "Ana B"] },
    { name: "nothing", dtype: "FP32", shape: [0], data: new Float32Array(0) },
    { name: "image", dtype: "UINT8", shape: [60_000], data: new Uint8Array(60_000).fill(7) },
  ] as const;
  expect(inputLines(redactedTensors(tensors))).toEqual([
    "features FP32[1,3]: 1 NaN; 1 negative; values about -1 to 100",
    "age INT64[1]: values about 10",
    "member BOOL[2]: 1 set",
    "name BYTES[2]: 1 empty; lengths about 0 to 1; of letters, spaces",
    "nothing FP32[0]",
    "image UINT8[60000]: values about 1; by the first 40 000",
  ]);
});

test("of many the first are shown, and how many more there are", () => {
  const tensors = Array.from({ length: 100 }, (_, at) => ({
    name: `x${at}`,
    dtype: "FP64" as const,
    shape: [1],
    data: Float64Array.of(at),
  }));
  const lines = inputLines(redactedTensors(tensors));
  expect(lines).toHaveLength(13);
  expect(lines.at(-1)).toBe("88 more");
});

function about(contentType: string | null, bytes: number | null): readonly string[] {
  return inputLines(redactedUnread({ method: "POST", contentType, bytes }));
}

test("what was passed on unread", () => {
  expect(about("text/csv", 2_345)).toEqual(["POST, text/csv, about 2.0 kB"]);
  expect(about(null, null)).toEqual(["POST, no content type, passed on as it came"]);
});
