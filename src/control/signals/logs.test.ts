import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { metricOf, SignalsStage } from "../../../test/support/signals-stage.ts";
import type { Signal } from "../../core/analysis/index.ts";
import { NO_SIGNAL_SOURCES, signalSourceKeys, type LogSource } from "../../core/policy/index.ts";
import { redacted } from "./redact.ts";

const metric = metricOf({ kind: "logs", name: "app", source: "app" });

let stage: SignalsStage;
let file: string;

afterEach(() => stage.end());

/** A source as server.yaml would name it. */
async function follow(source: Readonly<Record<string, unknown>>): Promise<void> {
  const logs: Record<string, LogSource> = signalSourceKeys.logs.parse({ app: source });
  stage.sources = { ...NO_SIGNAL_SOURCES, logs };
  await stage.restart();
}

beforeEach(async () => {
  stage = new SignalsStage();
  await stage.open();
  file = join(stage.folder, "app.log");
  await follow({ files: [file], format: "json", version: "model.version" });
});

const line = (level: string | number, version: string | null, message = "m"): string =>
  `${JSON.stringify({ level, message, ...(version === null ? {} : { model: { version } }) })}\n`;

async function seen(): Promise<Signal | undefined> {
  return (await stage.take(stage.watched([metric])))["app"];
}

const counts = (signal: Signal | undefined): unknown => [
  [signal?.candidate.observations ?? 0, signal?.candidate.bad ?? 0],
  [signal?.stable.observations ?? 0, signal?.stable.bad ?? 0],
];

test("lines from the start of the watch on count for the version they name, each once", async () => {
  writeFileSync(file, line("error", "v1.1"));
  expect(await seen()).toBeUndefined();
  appendFileSync(
    file,
    line("info", "v1.1") +
      line("ERROR", "fraud@v1.1") +
      line(50, "v1.0") +
      line(30, "v1.0") +
      line("error", "v9") +
      line("error", null) +
      "    at some stack trace\n",
  );
  const lost = await stage.collect(stage.watched([metric]));
  expect(counts(lost.signals["app"])).toEqual([
    [2, 1],
    [2, 1],
  ]);
  await stage.restart();
  expect(counts(await seen()), "not confirmed, so it is given after the restart").toEqual([
    [2, 1],
    [2, 1],
  ]);
  await stage.restart();
  expect(await seen()).toBeUndefined();
});

test("a partial line counts once it is whole, one that began before the watch never", async () => {
  writeFileSync(file, '{"level":"error","model":{"ver');
  await seen();
  appendFileSync(file, `sion":"v1.1"}}\n${line("info", "v1.1").slice(0, 12)}`);
  expect(await seen()).toBeUndefined();
  appendFileSync(file, line("info", "v1.1").slice(12));
  expect(counts(await seen())).toEqual([
    [1, 0],
    [0, 0],
  ]);
});

test("a file that is renamed is read to its end, then the new one from its beginning", async () => {
  writeFileSync(file, line("info", "v1.1"));
  await seen();
  appendFileSync(file, line("error", "v1.1"));
  renameSync(file, `${file}.1`);
  expect(counts(await seen()), "while there is no new file").toEqual([
    [1, 1],
    [0, 0],
  ]);
  appendFileSync(`${file}.1`, line("error", "v1.0"));
  writeFileSync(file, line("info", "v1.1"));
  await stage.restart();
  expect(counts(await seen())).toEqual([
    [1, 0],
    [1, 1],
  ]);
  rmSync(`${file}.1`);
  appendFileSync(file, line("info", "v1.1"));
  expect(counts(await seen())).toEqual([
    [1, 0],
    [0, 0],
  ]);
});

test("a pattern that also matches the renamed file counts its lines once", async () => {
  await follow({
    files: [join(stage.folder, "app*.log")],
    format: "json",
    version: "model.version",
  });
  writeFileSync(file, line("info", "v1.1"));
  await seen();
  appendFileSync(file, line("error", "v1.1"));
  await seen();
  const dated = join(stage.folder, "app-2026-11-28.log");
  renameSync(file, dated);
  writeFileSync(file, line("info", "v1.1"));
  appendFileSync(dated, line("error", "v1.1"));
  expect(counts(await seen())).toEqual([
    [2, 1],
    [0, 0],
  ]);
  for (let times = 0; times < 3; times += 1) expect(await seen()).toBeUndefined();
  appendFileSync(join(stage.folder, "app-new.log"), line("error", "v1.0"));
  expect(counts(await seen())).toEqual([
    [0, 0],
    [1, 1],
  ]);
});

test("a file that is copied and cut is read from its new beginning, even grown beyond the old", async () => {
  writeFileSync(file, line("info", "v1.1", "before"));
  await seen();
  appendFileSync(file, line("info", "v1.1", "before"));
  await seen();
  copyFileSync(file, `${file}.1`);
  truncateSync(file);
  appendFileSync(file, line("error", "v1.1", "first"));
  expect(counts(await seen())).toEqual([
    [1, 1],
    [0, 0],
  ]);
  truncateSync(file);
  const longer = Array.from({ length: 10 }, (_, at) => line("info", "v1.0", `again ${at}`));
  appendFileSync(file, longer.join(""));
  expect(counts(await seen())).toEqual([
    [0, 0],
    [10, 0],
  ]);
});

test("a file that comes later is read whole; one that is missing is no error", async () => {
  expect(await seen()).toBeUndefined();
  writeFileSync(file, line("error", "v1.1"));
  expect(counts(await seen())).toEqual([
    [1, 1],
    [0, 0],
  ]);
});

test("a log none of whose files is there is told of beforehand", async () => {
  expect(stage.signals.unknownSources([metric])).toEqual([
    `app has nothing to read now: no file is at ${file}; until one is, it watches nothing`,
  ]);
  writeFileSync(file, "");
  expect(stage.signals.unknownSources([metric])).toEqual([]);
  await follow({ files: [join(stage.folder, "*.log")], format: "json" });
  expect(stage.signals.unknownSources([metric])).toEqual([]);
  rmSync(file);
  expect(stage.signals.unknownSources([metric])).toHaveLength(1);
});

test("a line longer than any may be counts once, by its beginning", async () => {
  await follow({ files: [file], format: "regex", error: "^ERROR" });
  writeFileSync(file, "");
  await seen();
  appendFileSync(file, `ERROR ${"x".repeat(100_000)}`);
  expect((await seen())?.candidate).toEqual({ observations: 1, bad: 1 });
  appendFileSync(file, "y".repeat(200_000));
  expect(await seen()).toBeUndefined();
  appendFileSync(file, "the end\nfine\n");
  expect((await seen())?.candidate).toEqual({ observations: 1, bad: 0 });
});

test("lines of text are judged by patterns, and without any version all are the candidate's", async () => {
  await follow({
    files: [file],
    format: "regex",
    error: "\\b(ERROR|FATAL)\\b",
    revision: "rev=(\\d+)",
  });
  writeFileSync(file, "");
  await seen();
  appendFileSync(file, "INFO rev=2 ok\nERROR rev=2 boom\nFATAL rev=1\nERROR no revision\r\n");
  expect(counts(await seen())).toEqual([
    [2, 1],
    [1, 1],
  ]);
  await follow({ files: [file], format: "regex", error: "ERROR" });
  const untold = stage.watched([metric], { rollout: "r2" });
  await stage.take(untold);
  appendFileSync(file, "INFO\nERROR\n");
  expect(counts((await stage.take(untold))["app"])).toEqual([
    [2, 1],
    [0, 0],
  ]);
});

test("the output of model processes is told apart by its file", async () => {
  await follow({ models: true, format: "regex", error: "Error" });
  mkdirSync(join(stage.folder, "logs"));
  await seen();
  writeFileSync(join(stage.folder, "logs", "model-fraud-prod-2.log"), "a\nError: b\n");
  writeFileSync(join(stage.folder, "logs", "model-fraud-prod-1.log"), "c\n");
  writeFileSync(join(stage.folder, "logs", "model-fraud-prod-3.log"), "Error\n");
  expect(counts(await seen())).toEqual([
    [2, 1],
    [1, 0],
  ]);
});

test("the candidate's last error lines are kept, redacted and of bounded length", async () => {
  await follow({ files: [file], format: "regex", error: "ERROR", version: "v=(\\S+)" });
  writeFileSync(file, "");
  await seen();
  const lines = Array.from({ length: 30 }, (_, at) => `ERROR v=v1.1 number ${at} password=x${at}`);
  appendFileSync(
    file,
    `${lines.join("\n")}\nERROR v=v1.0 of stable\nERROR v=v1.1 ${"z".repeat(2_000)}\n`,
  );
  await seen();
  await stage.restart();
  const recent = await stage.signals.recentLogLines({ rollout: "r1" });
  expect(recent).toHaveLength(20);
  expect(recent[0]).toBe("ERROR v=v1.1 number 11 password=***");
  expect(recent[19]).toHaveLength(400);
  expect(await stage.signals.recentLogLines({ rollout: "none" })).toEqual([]);
});

test("what the process of a managed revision wrote last is there without a metric, redacted", async () => {
  const of = { endpoint: "fraud-prod", revision: 2 };
  expect(await stage.signals.lastOutput(of), "it has written nothing").toEqual([]);
  mkdirSync(join(stage.folder, "logs"));
  const output = join(stage.folder, "logs", "model-fraud-prod-2.log");
  const lines = Array.from({ length: 3_000 }, (_, at) => `step ${at} password=x${at}`);
  writeFileSync(output, `${lines.join("\n")}\n\n${"z".repeat(2_000)}\n`);
  const last = await stage.signals.lastOutput(of);
  expect(last).toHaveLength(20);
  expect(last[0]).toBe("step 2981 password=***");
  expect(last[19]).toHaveLength(400);
  writeFileSync(output, `password=${"x".repeat(70_000)}\nlast words`);
  expect(await stage.signals.lastOutput(of)).toEqual(["last words"]);
});

test("what cannot be read, or is not set up, is broken and holds up nothing else", async () => {
  const other = metricOf({ ...metricOf({ kind: "logs", name: "other" }), source: "none" } as never);
  const directory = join(stage.folder, "a-folder");
  mkdirSync(directory);
  await follow({ files: [directory], format: "json" });
  writeFileSync(file, "");
  const watched = stage.watched([metric, other]);
  await stage.take(watched);
  const signals = await stage.take(watched);
  expect(signals["other"]?.broken).toBe("none: server.yaml names no log of this name");
  expect(signals["app"]?.broken).toMatch(/app: EISDIR/);
});

test.each([
  ['{"token": "abc def", "a": 1}', '{"token": ***, "a": 1}'],
  ["Authorization: Bearer abc.def-ghi", "Authorization: ***"],
  ["used Bearer abcdefghijkl", "used Bearer ***"],
  ["to postgres://me:pw@db/x", "to postgres://***@db/x"],
  ["mail from ann.b@example.com failed", "mail from ***@*** failed"],
  ["card 4111 1111 1111 1111 refused", "card *** refused"],
  ["key AKIA0123456789abcdefABCDEF0123456789", "key ***"],
  ["a\u001b[31mred\u0000", "a [31mred"],
  ["IndexError: list index out of range", "IndexError: list index out of range"],
])("%j is kept as %j", (text, kept) => {
  expect(redacted(text)).toBe(kept);
});
