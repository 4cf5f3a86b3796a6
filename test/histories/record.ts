/**
 * Records histories of this release: `npm run record-histories`. Done once before a release is
 * published; what is recorded is never changed after that.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";

import { IntervalReader, planIn } from "../../src/control/rollouts/evidence-record.ts";
import { recompute } from "../../src/core/analysis/index.ts";
import { LastgoodError } from "../../src/core/errors/index.ts";
import type { EndpointEvent } from "../../src/core/rollout/index.ts";
import { Life, life } from "../simulation/life.ts";
import type { PolicyName } from "../simulation/world/happenings.ts";
import { World } from "../simulation/world/world.ts";
import { Scenario } from "../support/rollout-scenario.ts";
import { consequence, toRecord, type RecordedEvent } from "./recorded.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const LIVES = 10;
const LOOKED_AT = 400;
const MOST_INTERVALS = 12;

class RecordedScenario extends Scenario {
  readonly beginning = this.state;
  readonly lines: RecordedEvent[] = [];

  override apply(event: EndpointEvent): this {
    const { now } = this;
    const record = { now, event: toRecord(event) };
    try {
      super.apply(event);
    } catch (error) {
      this.lines.push({ ...record, refused: LastgoodError.from(error).code, led: null });
      throw error;
    }
    const led = consequence(this.state, this.effects, this.lastHistory);
    this.lines.push({ ...record, refused: null, led });
    return this;
  }

  /** Which events it saw in which phases. */
  get seen(): ReadonlySet<string> {
    let phase = this.beginning.activity.phase as string;
    const seen = new Set<string>();
    for (const { event, refused, led } of this.lines) {
      seen.add(`${phase} ${String(event["type"])} ${refused ?? ""}`);
      phase = led?.phase ?? phase;
    }
    return seen;
  }
}

/** Lives that together see the most; each is worth its length. */
function tellingLives(): readonly RecordedScenario[] {
  const all = fc.sample(life, { numRuns: LOOKED_AT, seed: 1 }).map(([environment, happenings]) => {
    const of = new RecordedScenario(environment);
    const one = new Life(environment, of);
    for (const what of happenings) one.happens(what);
    one.comesToRest();
    return of;
  });
  const seen = new Set<string>();
  const chosen: RecordedScenario[] = [];
  const worth = (of: RecordedScenario): number =>
    [...of.seen].filter((each) => !seen.has(each)).length / (10 + of.lines.length);
  while (chosen.length < LIVES) {
    const [best] = all.toSorted((a, b) => worth(b) - worth(a));
    if (best === undefined) break;
    chosen.push(best);
    for (const each of best.seen) seen.add(each);
  }
  return chosen;
}

/** The intervals of one watched rollout of the simulated system, and what was made of them. */
async function evidence(policy: PolicyName, errorRate: number): Promise<readonly unknown[]> {
  const world = new World({ seed: 7, gateways: 1, rate: 200 });
  world.truth("v1.0").errorRate = 0.01;
  world.truth("v1.1").errorRate = errorRate;
  await world.begin();
  world.deploy("v1.0", { policy, bakeMs: 0 });
  await world.pass(15_000);
  world.deploy("v1.1", { policy, bakeMs: 15_000 });
  await world.pass(20_000);
  const [watch] = [...world.disk.evidence.keys()].filter((id) => !id.startsWith("baseline"));
  const records = world.disk.evidence.get(watch ?? "") ?? [];
  const plan = planIn(records);
  if (plan === null) throw new Error("nothing was watched");
  const reader = new IntervalReader({ candidate: 2, stable: 1 });
  const intervals = records.flatMap((each) => reader.next(each) ?? []).slice(0, MOST_INTERVALS);
  const assessments = recompute(plan, intervals);
  return [
    { plan },
    ...intervals.map((interval, at) => ({ interval, assessment: assessments[at] })),
  ];
}

const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  version: string;
};
const folder = join(import.meta.dirname, version);
mkdirSync(folder, { recursive: true });
const write = (name: string, lines: readonly unknown[]): void =>
  writeFileSync(join(folder, name), `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`);
for (const [at, of] of tellingLives().entries())
  write(`life-${at + 1}.jsonl`, [
    { release: version, state: of.beginning },
    ...of.lines,
    { end: of.state },
  ]);
write("evidence-good-canary.jsonl", await evidence("watched", 0.01));
write("evidence-bad-canary.jsonl", await evidence("watched", 0.05));
write("evidence-bad-mirrored.jsonl", await evidence("blueGreen", 0.05));
