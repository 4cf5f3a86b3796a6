/** What callers of the serving port see: protocols, data types, labels, whose fault an error is. */
import { afterAll, beforeAll, expect, test } from "vitest";

import { oipBody } from "../support/load.ts";
import { heldOutRows } from "../support/rows.ts";
import { startServer, until, type TestServer } from "../support/server.ts";
import { irisBody, stage, type Scored, type Stage } from "../support/stage.ts";

let server: TestServer;
let cancer: Stage;

beforeAll(async () => {
  server = await startServer({ args: ["--default-endpoint", "cancer"] });
  cancer = stage(server, "cancer");
  await cancer.register("v1.0", "breast-cancer/v1.0.onnx");
  await cancer.deploy("v1.0");
});

afterAll(() => server.destroy());

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  /** The body's JSON, or null. */
  readonly json: Record<string, unknown> | null;
}

async function ask(path: string, init: RequestInit = {}): Promise<Answered> {
  const response = await fetch(`${server.serveUrl}${path}`, init);
  const bytes = Buffer.from(await response.arrayBuffer());
  let json: Answered["json"] = null;
  try {
    json = JSON.parse(bytes.toString()) as Answered["json"];
  } catch {
    // Not every answer is JSON.
  }
  return { status: response.status, headers: response.headers, bytes, json };
}

function post(
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  const raw = body instanceof Buffer ? new Uint8Array(body) : null;
  return ask(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: raw ?? (typeof body === "string" ? body : JSON.stringify(body)),
  });
}

function labelOf(answer: Scored | undefined): unknown {
  const { outputs } = JSON.parse(answer?.text ?? "") as { outputs: { data: unknown }[] };
  return outputs[0]?.data;
}

const cancerRows = heldOutRows("breast-cancer").slice(0, 2);
const cancerFeatures = cancerRows.map((row) => row.features);
const columns = Array.from({ length: 30 }, (_, index) => `c${index}`);

test("OIP: health, server and model metadata, readiness, by method and version", async () => {
  expect(await ask("/v2/health/live")).toMatchObject({ status: 200, json: { live: true } });
  expect(await ask("/v2/health/ready")).toMatchObject({ status: 200, json: { ready: true } });
  expect(await ask("/v2")).toMatchObject({
    status: 200,
    json: { name: "lastgood", extensions: ["binary_tensor_data"] },
  });
  expect((await ask("/v2/models/cancer")).json).toEqual({
    name: "cancer",
    versions: ["v1.0"],
    platform: "onnx",
    inputs: [{ name: "features", datatype: "FP32", shape: [-1, 30] }],
    outputs: [
      { name: "label", datatype: "BYTES", shape: [-1] },
      { name: "probabilities", datatype: "FP32", shape: [-1, -1] },
    ],
  });
  expect(await ask("/v2/models/cancer/ready")).toMatchObject({ status: 200 });
  expect(await ask("/v2/models/cancer/versions/v1.0/ready")).toMatchObject({ status: 200 });
  expect((await ask("/v2/models/cancer", { method: "HEAD" })).status).toBe(200);
  const wrongMethod = await ask("/v2/models/cancer/infer");
  expect(wrongMethod.status).toBe(405);
  expect(wrongMethod.headers.get("allow")).toBe("POST");
});

test("OIP: string labels and a ZipMap are a BYTES tensor and a matrix with its labels", async () => {
  const answer = await post(
    "/v2/models/cancer/infer",
    { id: "mine", ...JSON.parse(oipBody(cancerFeatures[0] ?? [])) },
    { "x-request-id": "caller-7" },
  );
  expect(answer.json).toEqual({
    model_name: "cancer",
    model_version: "v1.0",
    id: "mine",
    outputs: [
      { name: "label", datatype: "BYTES", shape: [1], data: [cancerRows[0]?.label] },
      {
        name: "probabilities",
        datatype: "FP32",
        shape: [1, 2],
        parameters: { labels: ["benign", "malignant"] },
        data: [expect.closeTo(0.9, 0), expect.closeTo(0.1, 0)],
      },
    ],
  });
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    "x-lastgood-version": "v1.0",
    "x-lastgood-revision": "1",
    "x-request-id": "caller-7",
    "x-lastgood-request-id": expect.stringMatching(/^cancer\.1\.\d+\.\d+\.[\w-]+\.\w+$/),
  });
  const other = await post("/v2/models/cancer/infer", oipBody(cancerFeatures[0] ?? []));
  expect(other.headers.get("x-request-id")).toBeNull();
  expect(other.headers.get("x-lastgood-request-id")).not.toBe(
    answer.headers.get("x-lastgood-request-id"),
  );
});

test.concurrent("every data type comes back as it was sent, as JSON and as binary tensors", async () => {
  const all = stage(server, "all-types");
  await all.register("v1.0", "../test/fixtures/onnx/dtypes.onnx");
  await all.deploy("v1.0");
  const data: Record<string, readonly unknown[]> = {
    BOOL: [true, false],
    UINT8: [0, 255],
    UINT16: [0, 65_535],
    UINT32: [0, 4_294_967_295],
    UINT64: [0, 18_446_744_073_709_551_615n],
    INT8: [-128, 127],
    INT16: [-32_768, 32_767],
    INT32: [-2_147_483_648, 2_147_483_647],
    INT64: [-9_223_372_036_854_775_808n, 9_007_199_254_740_993n],
    FP32: [0.5, -1.25],
    FP64: [0.1, -1e300],
    BYTES: ["grün", ""],
  };
  // JSON carries no FP16: 0.5 and -2 as bits.
  const fp16 = Buffer.from([0x00, 0x38, 0x00, 0xc0]);
  const inputs = Object.entries(data).map(([datatype, values]) => ({
    name: datatype.toLowerCase(),
    datatype,
    shape: [1, 2],
    data: values,
  }));
  const half = {
    name: "fp16",
    datatype: "FP16",
    shape: [1, 2],
    parameters: { binary_data_size: fp16.length },
  };
  // JSON.stringify knows no bigint; its digits are written as they are.
  const text = JSON.stringify({ inputs: [...inputs, half] }, (_, value: unknown) =>
    typeof value === "bigint" ? `#${value}#` : value,
  ).replaceAll(/"#(-?\d+)#"/g, "$1");
  const answer = await post(
    "/v2/models/all-types/infer",
    Buffer.concat([Buffer.from(text), fp16]),
    {
      "inference-header-content-length": String(Buffer.byteLength(text)),
    },
  );
  expect(answer.status, `with ${answer.bytes.toString()}`).toBe(200);
  const outputs = answer.json?.["outputs"] as { name: string; data: unknown[] }[];
  // What a JSON number cannot hold is read from the text instead.
  const parsed = Object.fromEntries(outputs.map(({ name, data: got }) => [name, got]));
  expect(parsed["fp16_out"]).toEqual([0.5, -2]);
  for (const [datatype, sent] of Object.entries(data)) {
    const got = parsed[`${datatype.toLowerCase()}_out`];
    expect(got?.map(Number), `of ${datatype}`).toEqual(sent.map(Number));
  }
  expect(parsed["bytes_out"]).toEqual(data["BYTES"]);
  expect(parsed["bool_out"]).toEqual(data["BOOL"]);
  for (const exact of ["18446744073709551615", "-9223372036854775808", "9007199254740993"])
    expect(answer.bytes.toString()).toContain(exact);

  const raw = Buffer.alloc(16);
  raw.writeBigInt64LE(-1n, 0);
  raw.writeBigInt64LE(9_007_199_254_740_993n, 8);
  const head = Buffer.from(
    JSON.stringify({
      inputs: [
        ...inputs.map((input) =>
          input.datatype === "INT64"
            ? { ...half, name: "int64", datatype: "INT64", parameters: { binary_data_size: 16 } }
            : { ...input, data: input.data.map((each) => (typeof each === "bigint" ? 7 : each)) },
        ),
        half,
      ],
      outputs: [{ name: "int64_out", parameters: { binary_data: true } }],
    }),
  );
  const binary = await post("/v2/models/all-types/infer", Buffer.concat([head, raw, fp16]), {
    "inference-header-content-length": String(head.length),
    "content-type": "application/octet-stream",
  });
  expect(binary.status, `with ${binary.bytes.toString()}`).toBe(200);
  const length = Number(binary.headers.get("inference-header-content-length"));
  expect(JSON.parse(binary.bytes.subarray(0, length).toString())).toMatchObject({
    outputs: [{ name: "int64_out", shape: [1, 2], parameters: { binary_data_size: 16 } }],
  });
  expect(binary.bytes.subarray(length)).toEqual(raw);
});

test.concurrent("several inputs and outputs, nested or flat, and only the outputs that were asked for", async () => {
  const two = stage(server, "two");
  await two.register("v1.0", "../test/fixtures/onnx/two-by-two.onnx");
  await two.deploy("v1.0");
  const inputs = [
    { name: "b", datatype: "INT64", shape: [2], data: [10, 20] },
    {
      name: "a",
      datatype: "FP32",
      shape: [2, 3],
      data: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    },
  ];
  const both = await post("/v2/models/two/infer", { inputs });
  expect(both.json?.["outputs"]).toEqual([
    { name: "total", datatype: "FP32", shape: [2, 3], data: [11, 12, 13, 24, 25, 26] },
    { name: "twice", datatype: "INT64", shape: [2], data: [20, 40] },
  ]);
  const one = await post("/v2/models/two/infer", { inputs, outputs: [{ name: "twice" }] });
  expect(one.json?.["outputs"]).toMatchObject([{ name: "twice" }]);
  const columnForm = { inputs: { a: [[1, 2, 3]], b: [10] } };
  expect(await post("/endpoints/two/invocations", columnForm)).toMatchObject({
    status: 200,
    json: { predictions: { total: [[11, 12, 13]], twice: [20] } },
  });
});

test("MLflow: every input form and CSV give the same predictions", async () => {
  const forms: readonly [string, unknown, Record<string, string>][] = [
    ["dataframe_split", { dataframe_split: { columns, data: cancerFeatures } }, {}],
    [
      "dataframe_records",
      {
        dataframe_records: cancerFeatures.map((row) =>
          Object.fromEntries(row.map((value, index) => [columns[index], value])),
        ),
      },
      {},
    ],
    [
      "csv",
      [columns, ...cancerFeatures].map((row) => row.join(",")).join("\n"),
      { "content-type": "text/csv; charset=utf-8" },
    ],
  ];
  for (const [form, body, headers] of forms) {
    const { status, json } = await post("/invocations", body, headers);
    expect({ status, json }, `of ${form}`).toMatchObject({
      status: 200,
      json: {
        predictions: cancerRows.map(({ label }) => ({
          label,
          probabilities: { benign: expect.any(Number), malignant: expect.any(Number) },
        })),
      },
    });
  }
  for (const body of [{ instances: cancerFeatures }, { inputs: cancerFeatures }]) {
    const { json } = await post("/endpoints/cancer/invocations", body);
    expect(json).toMatchObject({
      predictions: { label: cancerRows.map(({ label }) => label) },
    });
  }
  expect(await ask("/ping")).toMatchObject({ status: 200, bytes: Buffer.from("\n") });
  expect(await ask("/health")).toMatchObject({ status: 200 });
  expect((await ask("/version")).bytes.toString()).toMatch(/^\d+\.\d+\.\d+$/);
});

test.concurrent("TensorFlow Serving: its documentation's half_plus_two, by row and by column, status and metadata", async () => {
  const half = stage(server, "half_plus_two");
  await half.register("v1.0", "../test/fixtures/onnx/half-plus-two.onnx");
  await half.deploy("v1.0");
  const at = "/v1/models/half_plus_two";
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const rows = await post(`${at}:predict`, { instances: [1.0, 2.0, 5.0] }, form);
  expect(rows).toMatchObject({ status: 200, json: { predictions: [2.5, 3, 4.5] } });
  expect(rows.headers.get("x-lastgood-version")).toBe("v1.0");
  const byColumn = await post(`${at}/versions/1:predict`, { inputs: [1, 2, 5] }, form);
  expect(byColumn.json).toEqual({ outputs: [2.5, 3, 4.5] });
  // At rest what serves is the stable one, and nothing is a canary.
  const stable = await post(`${at}/labels/stable:predict`, { instances: [1.0] });
  expect(stable).toMatchObject({ status: 200, json: { predictions: [2.5] } });
  expect(await ask(`${at}/labels/stable`)).toMatchObject({ status: 200, json: { ready: true } });
  expect(await ask(`${at}/labels/canary`)).toMatchObject({
    status: 404,
    json: { error: expect.stringContaining("loaded: v1.0") as string },
  });
  expect((await ask(at)).json).toEqual({
    name: "half_plus_two",
    ready: true,
    model_version_status: [
      { version: "1", state: "AVAILABLE", status: { error_code: "OK", error_message: "" } },
    ],
  });
  expect((await ask(`${at}/metadata`)).json).toMatchObject({
    model_spec: { name: "half_plus_two", version: "1" },
  });
  expect(await ask(`${at}/versions/9`)).toMatchObject({
    status: 404,
    json: { error: expect.stringContaining('version "9" is not loaded') as string },
  });
});

test("each protocol refuses in its own form, and what is not there is a 404 that lists what is", async () => {
  const unknown = await post("/v2/models/nobody/infer", irisBody());
  expect(unknown).toMatchObject({
    status: 404,
    json: { error: expect.stringContaining("cancer") },
  });
  const notLoaded = await post("/v2/models/cancer/versions/v9/infer", irisBody());
  expect(notLoaded).toMatchObject({
    status: 404,
    json: { error: expect.stringContaining("v1.0") },
  });
  const byVersion = await post(
    "/v2/models/cancer/versions/v1.0/infer",
    oipBody(cancerFeatures[0] ?? []),
  );
  expect(byVersion.status).toBe(200);
  expect(await post("/endpoints/nobody/invocations", {})).toMatchObject({
    status: 404,
    json: { error_code: expect.any(String), message: expect.stringContaining("cancer") },
  });
  expect(await post("/invocations", { nonsense: 1 })).toMatchObject({
    status: 400,
    json: { error_code: "BAD_REQUEST", message: expect.stringContaining("dataframe_split") },
  });
  const parquet = await post("/invocations", "x", { "content-type": "text/html" });
  expect(parquet).toMatchObject({ status: 415, json: null });
  expect(parquet.headers.get("content-type")).toBe("text/plain");
  const why = "GET is not taken here; accepted: POST";
  const own = [
    ["/v2/models/cancer/infer", { error: why }],
    ["/v1/models/cancer:predict", { error: why }],
    ["/invocations", { error_code: "ENDPOINT_NOT_FOUND", message: why }],
  ] as const;
  for (const [path, json] of own) {
    const wrongMethod = await ask(path);
    expect(wrongMethod).toMatchObject({ status: 405, json });
    expect(wrongMethod.headers.get("allow")).toBe("POST");
  }
  expect(await post("/v2/models/cancer/infer", irisBody())).toMatchObject({
    status: 400,
    json: { error: expect.stringContaining("30") },
  });
});

/** Nobody answers for the version, and nothing sends it back: what it does is what callers see. */
function alone(model: string): Record<string, unknown> {
  return { model, name: model, rollback: { automatic: false, fallback: false } };
}

test.concurrent("NaN is the version's error: 5xx for those rows, the others 200, counted against the revision", async () => {
  const nan = stage(server, "nan");
  await nan.register("v1.0");
  await nan.deploy("v1.0");
  await nan.register("v2.0", "iris/v2.0-nan.onnx");
  await nan.deploy("v2.0", { bakeMs: 600_000, policy: alone("nan") });
  const rows = heldOutRows("iris");
  const answers = await Promise.all(rows.map((row) => nan.score(oipBody(row.features))));
  const failed = answers.filter(({ status }) => status !== 200);
  expect(failed.length).toBeGreaterThan(rows.length / 5);
  expect(failed.length).toBeLessThan(rows.length / 2);
  for (const answer of failed) {
    expect(answer).toMatchObject({ status: 500, version: "v2.0" });
    expect(answer.text).toMatch(/NaN/);
  }
  await until("the counts are in", async () => {
    const revision = (await nan.view()).revisions.at(-1);
    return revision?.requests === rows.length && revision.errors === failed.length;
  });
  // A model's own errors are not the rollback's: it counts none.
  const back = await server.client.rollback({ endpoint: "nan", actor: "tester" });
  expect(back).toMatchObject({ to: { version: "v1.0" }, failedRequests: 0 });
});

test("rows that throw are 500, their neighbours in the same batch are answered", async () => {
  const throwing = stage(server, "throwing");
  await throwing.register("v1.0");
  await throwing.deploy("v1.0");
  const rows = heldOutRows("iris");
  const bodies = rows.map((row) => oipBody(row.features));
  const good = await Promise.all(bodies.map((body) => throwing.score(body)));
  await throwing.register("v2.0", "iris/v2.0-throws.onnx");
  await throwing.deploy("v2.0", { bakeMs: 600_000, policy: alone("throwing") });
  const { models } = server.pids;
  const answers = await Promise.all(bodies.map((body) => throwing.score(body)));
  const answered = rows.map((row, index) =>
    (row.features[2] ?? 0) >= 5 ? null : labelOf(good[index]),
  );
  expect(answered).toContain(null);
  expect(answers.map((answer) => (answer.status === 500 ? null : labelOf(answer)))).toEqual(
    answered,
  );
  expect(server.pids.models).toEqual(models);
});

test.concurrent("a slow version serves, and what waits for it is answered in turn", async () => {
  const slow = stage(server, "slow");
  await slow.register("v1.0", "iris/v2.0-slow.onnx");
  await slow.deploy("v1.0");
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, row) => slow.score(irisBody(row))),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
});
