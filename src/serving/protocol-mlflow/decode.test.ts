import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import type { DType } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import type { Call } from "../protocol/index.ts";
import { decode } from "./decode.ts";

function single(dtype: DType, shape: readonly number[] = [-1, 2]): Signature {
  return { inputs: [{ name: "x", kind: "tensor", dtype, shape }], outputs: [] };
}
const frame = single("FP32");
const several: Signature = {
  inputs: [
    { name: "age", kind: "tensor", dtype: "INT64", shape: [-1, 1] },
    { name: "city", kind: "tensor", dtype: "BYTES", shape: [-1] },
    { name: "vip", kind: "tensor", dtype: "BOOL", shape: [-1, 1] },
  ],
  outputs: [],
};

function read(
  body: unknown,
  contract = frame,
  contentType: string | null = "application/json",
): Call {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return decode({ contentType, inferenceHeaderLength: null, body: Buffer.from(text) }, contract);
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof LastgoodError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "accepted";
}

const whole = { name: "x", dtype: "FP32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4.5) };
const rows = [
  [1, 2],
  [3, 4.5],
];

test.each<[string, unknown, string]>([
  ["dataframe_split", { columns: ["b", "a"], data: rows }, "frame"],
  ["dataframe_split", { columns: ["b", "a"], index: [7, 9], data: rows }, "frame"],
  ["dataframe_split", { data: rows }, "frame"],
  [
    "dataframe_records",
    [
      { b: 1, a: 2 },
      { a: 4.5, b: 3 },
    ],
    "frame",
  ],
  ["instances", rows, "tensors"],
  ["inputs", rows, "tensors"],
  ["inputs", { x: rows }, "tensors"],
  ["instances", [{ x: [1, 2] }, { x: [3, 4.5] }], "tensors"],
  ["inputs", [{ x: [1, 2] }, { x: [3, 4.5] }], "tensors"],
])("%s %j is the whole input", (format, value, kind) => {
  expect(read({ [format]: value })).toEqual({
    inputs: [whole],
    id: null,
    requestedOutputs: null,
    form: { kind },
  });
});

test("CSV with a header is the whole input", () => {
  const call = read('b,"a, quoted"\r\n1, 2 \r\n+3e0,4.5\r\n', frame, "text/csv; charset=UTF-8");
  expect(call).toEqual({
    inputs: [whole],
    id: null,
    requestedOutputs: null,
    form: { kind: "frame" },
  });
});

test("a model that takes arrays makes them of a table, and is answered as for arrays", () => {
  const arrays = { ...frame, inputs: frame.inputs.map((input) => ({ ...input, array: true })) };
  const asked = { columns: ["b", "a"], data: rows };
  expect(read({ dataframe_split: asked }, arrays)).toMatchObject({
    inputs: [whole],
    form: { kind: "tensors" },
  });
  expect(read("b,a\n1,2\n", arrays, "text/csv").form).toEqual({ kind: "tensors" });
});

test("columns that are named by numbers keep the order of the text", () => {
  const body = '{"dataframe_records": [{"10": 1, "2" : 2, "a": "2"}, {"2": 4, "10": 3}]}';
  const call = read(body.replace(', "a": "2"', ""));
  expect(call.inputs[0]?.data).toEqual(Float32Array.of(1, 2, 3, 4));
  const escaped = String.raw`{"dataframe_records": [{"\u0031\u0030": 1, "2": 2}]}`;
  expect(read(escaped).inputs[0]?.data).toEqual(Float32Array.of(1, 2));
  expect(refusal(() => read(body, single("FP32", [-1, 3])))).toContain(
    'row 0, column "a" is the string "2"',
  );
});

test("several inputs take one column each by name, others are left alone", () => {
  const expected = [
    {
      name: "age",
      dtype: "INT64",
      shape: [2, 1],
      data: BigInt64Array.of(9_007_199_254_740_993n, 2n),
    },
    { name: "city", dtype: "BYTES", shape: [2], data: ["Ulm", "NA"] },
    { name: "vip", dtype: "BOOL", shape: [2, 1], data: Uint8Array.of(1, 0) },
  ];
  const split =
    '{"dataframe_split":{"columns":["vip","more","city","age"],"data":[[true,0,"Ulm",9007199254740993],[false,0,"NA",2]]}}';
  expect(read(split, several).inputs).toEqual(expected);
  const records =
    '{"dataframe_records":[{"age":9007199254740993,"city":"Ulm","vip":true},{"vip":false,"age":2.0,"city":"NA"}]}';
  expect(read(records, several).inputs).toEqual(expected);
  const csv = "age,city,vip\n9007199254740993,Ulm,True\n2,NA,FALSE\n";
  expect(read(csv, several, "text/csv").inputs).toEqual(expected);
  const inputs =
    '{"inputs":{"age":[[9007199254740993],[2]],"city":["Ulm","NA"],"vip":[true,false]},"params":{"a":1}}';
  expect(read(inputs, several).inputs).toEqual(expected);
  const instances =
    '{"instances":[{"age":9007199254740993,"city":"Ulm","vip":true},{"age":2,"city":"NA","vip":false}]}';
  expect(read(instances, several).inputs).toEqual(expected);
});

test("what is missing is NaN for floating-point inputs", () => {
  const nan = Float32Array.of(1, NaN, NaN, 4);
  expect(
    read({
      dataframe_split: {
        data: [
          [1, null],
          [null, 4],
        ],
      },
    }).inputs[0]?.data,
  ).toEqual(nan);
  expect(read({ dataframe_records: [{ a: 1 }, { b: 4 }] }).inputs[0]?.data).toEqual(nan);
  expect(read("a,b\n1,\nnan,4", frame, "text/csv").inputs[0]?.data).toEqual(nan);
  expect(read('{"instances": [[1, NaN], [NaN, 4]]}').inputs[0]?.data).toEqual(nan);
});

test("infinities are read as Python writes them, what only overflows is refused", () => {
  const both = Float32Array.of(Infinity, -Infinity);
  expect(read('{"instances": [[Infinity, -Infinity]]}').inputs[0]?.data).toEqual(both);
  expect(read("a,b\ninf,-Infinity", frame, "text/csv").inputs[0]?.data).toEqual(both);
  expect(refusal(() => read({ instances: [[1e39, 0]] }))).toContain("the number 1e+39, which FP32");
});

test("numbers go to the numeric type the contract wants as long as that changes nothing", () => {
  expect(read({ instances: [[1, 2]] }, single("FP64")).inputs[0]?.data).toEqual(
    Float64Array.of(1, 2),
  );
  expect(read({ instances: [[1.0, 2]] }, single("UINT8")).inputs[0]?.data).toEqual(
    Uint8Array.of(1, 2),
  );
  expect(read({ instances: ["a", "b"] }, single("BYTES", [-1, 1])).inputs[0]).toMatchObject({
    shape: [2, 1],
    data: ["a", "b"],
  });
  expect(read({ inputs: 5 }, single("FP32", [])).inputs[0]).toMatchObject({ shape: [] });
});

test("text in CSV is text: NA is a word, quotes without anything the empty text", () => {
  const csv = 'a,b\n,""\n';
  const call = read('a,b\nNA,""\n', single("BYTES"), "text/csv");
  expect(call.inputs[0]?.data).toEqual(["NA", ""]);
  expect(refusal(() => read(csv, single("BYTES"), "text/csv"))).toContain(
    'row 0, column "a" is null, which BYTES cannot hold; accepted: strings',
  );
});

test.each<[string, unknown, Signature, string]>([
  ["no object", [1], frame, "the body is an array; accepted: an object with exactly one of"],
  [
    "no format",
    { data: [] },
    frame,
    'the members "data"; accepted: exactly one of dataframe_split',
  ],
  ["nothing", {}, frame, "the body has no members"],
  ["two formats", { inputs: [], instances: [] }, frame, '"inputs", "instances"'],
  ["a chat", { messages: [{ role: "user" }] }, frame, 'the members "messages"'],
  ["a prototype", '{"__proto__": {"inputs": [[1, 2]]}}', frame, 'the members "__proto__"'],
  ["signature_name", { inputs: rows, signature_name: "s" }, frame, "signature_name is not served"],
  ["params that are none", { inputs: rows, params: 1 }, frame, "params is the number 1"],
  ["split that is none", { dataframe_split: [] }, frame, "dataframe_split is an array"],
  [
    "split without data",
    { dataframe_split: { columns: [] } },
    frame,
    "dataframe_split.data is missing",
  ],
  [
    "split with more",
    { dataframe_split: { data: rows, x: 1 } },
    frame,
    'has a member "x"; accepted: columns, data, index',
  ],
  [
    "columns that are none",
    { dataframe_split: { data: rows, columns: "ab" } },
    frame,
    "columns is the string",
  ],
  [
    "a short row",
    { dataframe_split: { data: [[1, 2], [3]] } },
    frame,
    "data[1] is an array of 1; accepted: an array of 2",
  ],
  [
    "too few names",
    { dataframe_split: { columns: ["a"], data: rows } },
    frame,
    "data[0] is an array of 2; accepted: an array of 1",
  ],
  [
    "another width",
    { dataframe_split: { data: [[1, 2, 3]] } },
    frame,
    "has shape [1, 3]; accepted: [any, 2]",
  ],
  [
    "no rows",
    { dataframe_split: { columns: ["a", "b"], data: [] } },
    frame,
    "the frame has no rows",
  ],
  ["no records", { dataframe_records: [] }, frame, "the frame has no rows"],
  ["empty records", { dataframe_records: [{}] }, frame, "has shape [1, 0]"],
  [
    "records that are none",
    { dataframe_records: { a: 1 } },
    frame,
    "dataframe_records is an object",
  ],
  [
    "a record that is none",
    { dataframe_records: [{ a: 1 }, 2] },
    frame,
    "dataframe_records[1] is the number 2",
  ],
  [
    "a frame for images",
    { dataframe_split: { data: rows } },
    single("FP32", [-1, 2, 2]),
    "which a frame of 2 columns does not fill",
  ],
  [
    "an array in a cell",
    { dataframe_split: { columns: ["a", "b"], data: [[1, [2]]] } },
    frame,
    'row 0, column "b" is an array, which FP32',
  ],
  [
    "half an integer",
    {
      dataframe_records: [
        { a: 1, b: 2 },
        { a: 1.5, b: 2 },
      ],
    },
    single("INT32"),
    'row 1, column "a" is the number 1.5, which INT32 cannot hold',
  ],
  [
    "an integer out of range",
    { dataframe_split: { data: [[1, 256]] } },
    single("UINT8"),
    "row 0, column 1 is the number 256",
  ],
  [
    "a missing integer",
    { dataframe_split: { data: [[1, null]] } },
    single("INT8"),
    "row 0, column 1 is null",
  ],
  [
    "a number as text",
    { dataframe_split: { data: [["1", 2]] } },
    frame,
    'column 0 is the string "1"',
  ],
  [
    "a column missing",
    { dataframe_records: [{ age: 1, city: "a" }] },
    several,
    'column "vip" is missing; accepted: age, city, vip',
  ],
  [
    "no names",
    { dataframe_split: { data: [[1, "a", true]] } },
    several,
    "the frame names no columns; accepted: age, city, vip",
  ],
  [
    "a name twice",
    { dataframe_split: { columns: ["age", "city", "vip", "age"], data: [[1, "a", true, 1]] } },
    several,
    'column "age" is given twice',
  ],
  [
    "an array for several",
    { inputs: [[1]] },
    several,
    "an array is for a model with one input, this one has 3",
  ],
  ["an input missing", { inputs: { age: [1], city: ["a"] } }, several, 'input "vip" is missing'],
  ["an unknown input", { inputs: { y: rows } }, frame, 'there is no input "y"; accepted: x'],
  ["columns as instances", { instances: [{ a: 1, b: 2 }] }, frame, 'there is no input "a"'],
  [
    "a column of Object",
    { inputs: { constructor: rows } },
    frame,
    'there is no input "constructor"',
  ],
  [
    "an instance that is none",
    { instances: [{ x: [1, 2] }, 3] },
    frame,
    "instances[1] is the number 3",
  ],
  ["an instance without", { instances: [{ x: [1, 2] }, {}] }, frame, 'instances[1] has no "x"'],
  [
    "a scalar",
    { inputs: 5 },
    frame,
    'input "x" is the number 5; accepted: nested arrays of the shape [any, 2]',
  ],
  ["a flat array", { inputs: [1, 2, 3] }, frame, "has shape [3]; accepted: [any, 2]"],
  ["an empty array", { instances: [] }, frame, "has shape [0]"],
  ["empty rows", { instances: [[]] }, single("FP32", [-1, -1]), "is empty"],
  ["deeper arrays", { inputs: [[[1], [2]]] }, frame, "has shape [1, 2, 1]; accepted: [any, 2]"],
  ["ragged arrays", { inputs: [[1, 2], [3]] }, frame, 'input "x"[1] is an array of 1'],
  ["half precision", { inputs: [[1, 2]] }, single("FP16"), "accepted: binary tensors"],
])("%s is refused", (_what, body, contract, message) => {
  const text = refusal(() => read(body, contract));
  expect(text).toMatch(/^request\.invalid: /);
  expect(text).toContain(message);
});

test.each([
  ["", "the CSV has no header line"],
  ["a,b\n", "the frame has no rows"],
  ["a,b\n1,2\n3\n", "row 1 of the CSV has 1 fields; accepted: 2, as in the header"],
  ["a,b\n1,x\n", 'row 0, column "b" is the string "x"'],
  ['a,b\n1,"2', "CSV line 2: a quoted field does not end"],
])("CSV %j is refused", (csv, message) => {
  expect(refusal(() => read(csv, frame, "text/csv"))).toContain(message);
});

test("records with ever other names cannot take more memory than their text says", () => {
  const records = [
    Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`c${index}`, 1])),
    ...Array.from({ length: 2000 }, () => ({})),
  ];
  const text = refusal(() => read({ dataframe_records: records }, single("FP32", [-1, -1])));
  expect(text).toContain("more cells than its text has characters");
});

test("a long run of digits that ends badly is refused at once", () => {
  const csv = `a,b\n${"1".repeat(200_000)}x,2`;
  expect(refusal(() => read(csv, frame, "text/csv"))).toContain("which FP32 cannot hold");
});

test.each([
  [null, "the request has no content type"],
  ["application/x-www-form-urlencoded", 'the content type is "application/x-www-form-urlencoded"'],
  ["application/vnd.apache.parquet", 'the content type is "application/vnd.apache.parquet"'],
  ["application/json; charset=latin-1", 'the charset is "latin-1"'],
  ["text/csv; header=present", 'the content type has the parameter "header"'],
])("the content type %j is refused", (type, message) => {
  expect(refusal(() => read({ inputs: rows }, frame, type))).toBe(
    `content-type.unsupported: ${message}`,
  );
});

test("a body that is not UTF-8 is refused", () => {
  const body = Buffer.of(0x7b, 0xff, 0x7d);
  for (const contentType of ["application/json", "text/csv"]) {
    const request = { contentType, inferenceHeaderLength: null, body };
    expect(refusal(() => decode(request, frame))).toContain("the body is not UTF-8 text");
  }
});

test("where the input's columns have names, a table's go by them and others are ignored", () => {
  const spec = { name: "x", kind: "tensor", dtype: "FP32", shape: [-1, 2] } as const;
  const named: Signature = { inputs: [{ ...spec, columns: ["b", "a"] }], outputs: [] };
  const first = { b: 1, a: 2 };
  const second = { a: 4.5, other: "text", b: 3 };
  expect(read({ dataframe_records: [first] }, named).inputs[0]?.data).toEqual(
    Float32Array.of(1, 2),
  );
  const split = { columns: ["a", "other", "b"], data: [[2, "text", 1]] };
  expect(read({ dataframe_split: split }, named).inputs).toMatchObject([
    { shape: [1, 2], data: Float32Array.of(1, 2) },
  ]);
  expect(read("a,b\n2,1\n4.5,3\n", named, "text/csv").inputs).toEqual([whole]);
  expect(read({ dataframe_split: { data: rows } }, named).inputs).toEqual([whole]);
  expect(read({ inputs: rows }, named).inputs).toEqual([whole]);
  expect(refusal(() => read({ dataframe_records: [{ a: 1, c: 2 }] }, named))).toBe(
    'request.invalid: column "b" is missing; accepted: b, a',
  );
  expect(refusal(() => read({ dataframe_records: [{ ...second, b: "no" }] }, named))).toContain(
    'column "b"',
  );
});
