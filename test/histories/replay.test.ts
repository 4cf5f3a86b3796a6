/**
 * What earlier releases recorded goes the same way today: the same event in the same state, and the
 * same verdict of the same evidence to the last digit.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import {
  intervalSchema,
  recompute,
  type AnalysisPlan,
  type Assessment,
} from "../../src/core/analysis/index.ts";
import { LastgoodError } from "../../src/core/errors/index.ts";
import { pendingEffects, transition } from "../../src/core/rollout/index.ts";
import {
  consequence,
  fromRecord,
  type Beginning,
  type Consequence,
  type End,
  type RecordedEvent,
} from "./recorded.ts";

const folder = import.meta.dirname;
const releases = readdirSync(folder, { withFileTypes: true }).filter((each) => each.isDirectory());
const files = releases.flatMap(({ name }) =>
  readdirSync(join(folder, name)).map((file) => join(name, file)),
);

function linesOf(file: string): readonly unknown[] {
  const text = readFileSync(join(folder, file), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

const lives = files.filter((file) => file.includes("life-"));
const watches = files.filter((file) => file.includes("evidence-"));

test("there is something to replay", () => {
  expect(lives.length).toBeGreaterThan(0);
  expect(watches.length).toBeGreaterThan(0);
});

test.each(lives)("%s goes the same way", (file) => {
  const [beginning, ...rest] = linesOf(file);
  let { state } = beginning as Beginning;
  const { end } = rest.at(-1) as End;
  for (const [at, line] of rest.slice(0, -1).entries()) {
    const { now, event, refused, led } = line as RecordedEvent;
    let found: Consequence | string;
    try {
      const taken = transition(state, fromRecord(event), now);
      ({ state } = taken);
      found = consequence(state, taken.effects, taken.history);
    } catch (error) {
      found = LastgoodError.from(error).code;
    }
    expect(found, `${file}, event ${at + 1}`).toEqual(refused ?? led);
    // A release may have been started on any of these states.
    expect(() => pendingEffects(state)).not.toThrow();
  }
  // Fields may be added, never changed.
  expect(state).toMatchObject(end);
});

/** An assessment without its words, which may be put better. */
function digits(assessment: Assessment): unknown {
  const metrics = assessment.metrics.map((metric) => ({ ...metric, words: "" }));
  return { ...assessment, why: "", metrics };
}

test.each(watches)("%s gives the same verdicts", (file) => {
  const [head, ...lines] = linesOf(file);
  const { plan } = head as { readonly plan: AnalysisPlan };
  const records = lines as readonly { interval: unknown; assessment: Assessment }[];
  const again = recompute(
    plan,
    // As stored evidence is read: what its release did not tell has a default.
    records.map(({ interval }) => intervalSchema.parse(interval)),
  );
  expect(again.map(digits)).toMatchObject(records.map(({ assessment }) => digits(assessment)));
});
