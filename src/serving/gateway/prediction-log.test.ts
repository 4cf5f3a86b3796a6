import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import type { OutputValue } from "../../core/tensor/index.ts";
import { predictedRows } from "./predicted-rows.ts";
import { PredictionLog, prunePredictions } from "./prediction-log.ts";

let folder: string;
let now: number;
let dropped: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lg-predictions-"));
  now = 1_000_000;
  dropped = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function logIn(place: string): PredictionLog {
  return new PredictionLog({
    folder: place,
    incarnation: "0123456789abcdef",
    worker: 3,
    now: () => now,
    onDropped: (count) => {
      dropped += count;
    },
  });
}

const label = (...data: string[]): OutputValue => ({
  name: "label",
  dtype: "BYTES",
  shape: [data.length],
  data,
});
const floats = (shape: number[], ...data: number[]): OutputValue => ({
  name: "y",
  dtype: "FP32",
  shape,
  data: Float32Array.from(data),
});

test("the class or number of each row is what was predicted", () => {
  const ints: OutputValue = {
    name: "label",
    dtype: "INT64",
    shape: [2, 1],
    data: BigInt64Array.from([7n, 9_007_199_254_740_993n]),
  };
  const maps: OutputValue = {
    name: "probabilities",
    kind: "maps",
    keys: ["no", "yes"],
    values: Float32Array.from([0.9, 0.1, 0.2, 0.8]),
    rows: 2,
  };
  const scores = floats([2, 3], 0.1, 0.7, 0.2, 0.5, 0.2, 0.3);
  expect(predictedRows([floats([2, 1], 1, 2), ints])).toEqual({
    rows: 2,
    values: [7, "9007199254740993"],
  });
  expect(predictedRows([scores, maps])).toEqual({ rows: 2, values: ["no", "yes"] });
  expect(predictedRows([scores])).toEqual({ rows: 2, values: [1, 0] });
  expect(predictedRows([floats([2, 1], 0.1, Number.NaN)])).toEqual({
    rows: 2,
    values: [0.1, "NaN"],
  });
  expect(predictedRows([floats([], 2.5)])).toEqual({ rows: 1, values: [2.5] });
  expect(predictedRows([floats([0, 1])])).toBeNull();
  expect(predictedRows([])).toBeNull();
  const many = predictedRows([floats([500], ...Array.from({ length: 500 }, (_, row) => row))]);
  expect(many?.rows).toBe(500);
  expect(many?.values).toHaveLength(100);
});

test("lines go to a segment of the worker's own, and a new one after ten minutes", async () => {
  const log = logIn(join(folder, "new"));
  log.note("a.1.0.3.tag.1", [label("x", 'say "y"')]);
  log.note("a.1.0.3.tag.2", [floats([1], 0.5)]);
  await log.flush();
  now += 600_000;
  log.note("a.1.0.3.tag.3", [label("z")]);
  await log.end();
  expect(readdirSync(join(folder, "new"))).toEqual([
    "1000000-3-01234567.jsonl",
    "1600000-3-01234567.jsonl",
  ]);
  expect(readFileSync(join(folder, "new", "1000000-3-01234567.jsonl"), "utf8")).toBe(
    '["a.1.0.3.tag.1",2,["x","say \\"y\\""]]\n["a.1.0.3.tag.2",1,[0.5]]\n',
  );
  expect(dropped).toBe(0);
});

test("of a request that another revision is given as well, both predictions are told apart", async () => {
  const log = logIn(folder);
  log.note("a.1.0.3.tag.1", [label("x")], 7);
  log.note("a.1.0.3.tag.2", [label("x")], 7);
  log.noteMirrored("a.1.0.3.tag.1", 7, [label("y", "z")]);
  log.noteMirrored("a.1.0.3.tag.2", 7, null);
  await log.end();
  expect(readFileSync(join(folder, "1000000-3-01234567.jsonl"), "utf8").split("\n")).toEqual([
    '["a.1.0.3.tag.1",1,["x"],7]',
    '["a.1.0.3.tag.2",1,["x"],7]',
    '["a.1.0.3.tag.1~7",2,["y","z"]]',
    '["a.1.0.3.tag.2~7"]',
    "",
  ]);
});

test("what waits is bounded: beyond it predictions are dropped and counted", async () => {
  const log = logIn(folder);
  const long = Array.from({ length: 100 }, () => "x".repeat(190));
  for (let at = 0; at < 60; at += 1) log.note(`a.1.0.3.tag.${at}`, [label(...long)]);
  await log.flush();
  expect(dropped).toBeGreaterThan(0);
  const lines = readFileSync(join(folder, "1000000-3-01234567.jsonl"), "utf8").split("\n");
  expect(lines.length - 1 + dropped).toBe(60);
  log.note("a.1.0.3.tag.60", [label("x")]);
  await log.end();
  expect(readFileSync(join(folder, "1000000-3-01234567.jsonl"), "utf8")).toContain("tag.60");
});

test("a place that cannot be written costs predictions and nothing else", async () => {
  const place = join(folder, "file");
  writeFileSync(place, "");
  const log = logIn(place);
  log.note("a.1.0.3.tag.1", [label("x")]);
  await log.flush();
  expect(dropped).toBe(1);
  rmSync(place);
  log.note("a.1.0.3.tag.2", [label("x")]);
  await log.end();
  expect([dropped, readdirSync(place).length]).toEqual([1, 1]);
});

test("old segments are removed, then the oldest while all are too large; nothing else is", async () => {
  const day = 86_400_000;
  const made = (name: string, bytes: number, writtenAt: number): string => {
    const path = join(folder, name);
    writeFileSync(path, "x".repeat(bytes));
    utimesSync(path, new Date(writtenAt), new Date(writtenAt));
    return path;
  };
  const at = 100 * day;
  const old = made(`${at - 8 * day}-0-aaaa.jsonl`, 10, at - 7.5 * day);
  const [first, second, third] = [
    made(`${at - 3 * day}-0-aaaa.jsonl`, 60, at - 2 * day),
    made(`${at - 2 * day}-1-aaaa.jsonl`, 60, at - 2 * day),
    made(`${at - day}-0-aaaa.jsonl`, 60, at),
  ];
  const foreign = made("notes.txt", 500, 0);
  expect(await prunePredictions(folder, at, { keepMs: 7 * day, bytes: 130 })).toBe(2);
  expect([old, first, second, third, foreign].map((path) => existsSync(path))).toEqual([
    false,
    false,
    true,
    true,
    true,
  ]);
  expect(await prunePredictions(join(folder, "none"), at)).toBe(0);
});
