import { afterEach, beforeEach, expect, test } from "vitest";

import {
  artifacts,
  prepare,
  register,
  registry,
  tidyUp,
} from "../../../test/support/registry-fixture.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Signature } from "../../core/version/index.ts";
import { readReferenceSet } from "./reference-set.ts";

beforeEach(prepare);
afterEach(tidyUp);

const tensor = (name: string, dtype: "FP32" | "BYTES" | "INT64", shape: readonly number[]) =>
  ({ name, kind: "tensor", dtype, shape }) as const;
const TABLE: Signature = { inputs: [tensor("features", "FP32", [1, 2])], outputs: [] };
const NAMED: Signature = {
  inputs: [
    tensor("amount", "FP32", [-1, 1]),
    tensor("country", "BYTES", [-1]),
    tensor("count", "INT64", [-1, 1]),
  ],
  outputs: [],
};

async function read(text: string, signature: Signature, format: "csv" | "json" = "csv") {
  const { digest } = await artifacts.put(Buffer.from(text));
  return readReferenceSet(artifacts, { digest, format }, signature);
}

async function refusal(doing: Promise<unknown>): Promise<LastgoodError> {
  const thrown = await doing.then(
    () => new Error("it was not refused"),
    (error: unknown) => error,
  );
  if (thrown instanceof LastgoodError) return thrown;
  throw thrown;
}

const lines = (row: (at: number) => string, rows = 300): string =>
  Array.from({ length: rows }, (_, at) => row(at)).join("\r\n");

test("a CSV of a model with one input names its elements, and empty cells are missing", async () => {
  const set = await read(
    `amount,age\r\n${lines((at) => `${at},${at % 2 === 0 ? 30 : ""}`)}`,
    TABLE,
  );
  expect(set).toMatchObject({ rows: 300, leftOut: 0 });
  const [amount, age] = set.features;
  expect(amount).toMatchObject({ name: "amount", input: "features", element: 0 });
  expect(amount?.bins.kind).toBe("number");
  expect(age).toMatchObject({ name: "age", element: 1, counts: [150, 0, 150] });
});

test("a CSV of a model with named inputs may have other columns as well, in any order", async () => {
  const text = `label,count,country,amount\n${lines((at) => `x,${at % 3},"D,E",${at / 7}`)}`;
  const set = await read(text, NAMED);
  expect(set.features.map(({ name }) => name)).toEqual(["amount", "country", "count"]);
  expect(set.features[1]?.bins).toEqual({ kind: "category", values: ["D,E"] });
  expect(set.features[2]?.counts).toEqual([100, 100, 100, 0, 0]);
});

test("JSON in the forms of input examples says the same", async () => {
  const rows = Array.from({ length: 300 }, (_, at) => ({ amount: at, age: at % 2 }));
  const records = await read(JSON.stringify(rows), TABLE, "json");
  const split = { columns: ["amount", "age"], data: rows.map(({ amount, age }) => [amount, age]) };
  const other = await read(JSON.stringify({ dataframe_split: split }), TABLE, "json");
  expect(records.features).toEqual(other.features);
  expect(records.features.map(({ name }) => name)).toEqual(["amount", "age"]);
});

test("what does not fit is refused, saying where", async () => {
  const refused = async (text: string, signature = TABLE, format: "csv" | "json" = "csv") =>
    (await refusal(read(text, signature, format))).message;
  expect(await refused(`a,b\n${lines(() => "1,2", 12)}`)).toContain("it has 12 rows, at least 200");
  expect(await refused("a,b\n1,2,3\n")).toContain("line 2: has 3 cells, not 2");
  expect(await refused(`a,b\n${lines(() => "1,x")}`)).toContain('is "x", which is no FP32');
  expect(await refused(`amount\n${lines(() => "1")}`, NAMED)).toContain("has no column country");
  expect(await refused("{", TABLE, "json")).toContain("it is not JSON");
  expect(await refused("", TABLE)).toContain("there is no first line");
});

test("registering keeps what the set says with the version, and the same bytes again change nothing", async () => {
  const { digest } = await artifacts.put(Buffer.from(`x,y\n${lines((at) => `${at},1`)}`));
  const reference = { digest, format: "csv" as const };
  const { version } = await register("2", "v1.0", { reference });
  const { reference: kept } = await registry.view(version);
  expect(kept).toMatchObject({ digest, rows: 300 });
  expect(kept?.features.map(({ name }) => name)).toEqual(["x", "y"]);
  const again = await register("2", "v1.0", { reference });
  expect(again.created).toBe(false);
  expect(again.notes).toContain(
    "the reference set given now was not taken over: versions never change",
  );
  const missing = `sha256:${"1".repeat(64)}` as typeof digest;
  const error = await refusal(
    register("3", "v1.1", { reference: { digest: missing, format: "csv" } }),
  );
  expect(error.code).toBe("artifact.missing");
});
