/** Incidents and explanations on the command line, against the real API on a real store. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { runCommandLine, type Ran } from "../../../test/support/command-line.ts";
import {
  ROLLBACK,
  ROLLOUT,
  storeJudgedRollout,
  storeReinstatedRollout,
  storeStableRollout,
} from "../../../test/support/judged-rollout.ts";
import { folder, prepare, store, tidyUp } from "../../../test/support/registry-fixture.ts";
import { apiOf, rolloutsOf } from "../../../test/support/rollouts-fixture.ts";
import type { ApiServer } from "../../control/api/index.ts";
import type { Rollouts } from "../../control/rollouts/index.ts";
import type { RolloutAnswer } from "../../core/api/index.ts";

let rollouts: Rollouts;
let api: ApiServer;

beforeEach(async () => {
  await prepare();
  await store.meta.beginEpoch();
});

afterEach(async () => {
  await api.close(0);
  rollouts.stop();
  await tidyUp();
});

async function serve(goodIntervals?: number): Promise<void> {
  await serveWhat(storeJudgedRollout(store, goodIntervals));
}

async function serveWhat(stored: Promise<void>): Promise<void> {
  await stored;
  rollouts = rolloutsOf();
  await rollouts.start();
  api = await apiOf(rollouts);
}

function run(...argv: readonly string[]): Promise<Ran> {
  const env = {
    HOME: folder,
    LASTGOOD_URL: `http://127.0.0.1:${api.port}`,
    LASTGOOD_ACTOR: "tester",
  };
  return runCommandLine(argv, { env, programFolder: folder });
}

interface Explained {
  readonly agrees: boolean | null;
  readonly intervals: number;
  readonly difference: { readonly path: string } | null;
  readonly recorded: { readonly rollback: string | null } | null;
  readonly assessment: { readonly decision: string } | null;
  readonly decisions: readonly { readonly decision: string }[];
}

test("rollout status shows by what the last rollout was judged, although another control plane did", async () => {
  await serve();
  const status = await run("rollout", "status", "--json");
  const answer = JSON.parse(status.out) as RolloutAnswer;
  // The very assessment that the history recorded, not what a later record would make of it.
  const explained = JSON.parse((await run("explain", ROLLOUT, "--json")).out) as {
    assessment: unknown;
  };
  expect(answer.assessment).toEqual(explained.assessment);
  expect(answer.assessment).toMatchObject({ decision: "rollback", blamed: ["errorRate"] });
  expect(answer.seen?.candidate).toBe(answer.assessment?.requests.candidate);
  expect(answer.seen?.fallback).toBeGreaterThan(0);
  const { out } = await run("rollout", "status");
  expect(out).toContain("fraud-prod: RolledBack, canary from v1.0 to v1.1");
  expect(out).toMatch(/decision {2}go back: errorRate: /);
  expect(out).toMatch(/errorRate .* fails/);
});

test("what was decided is computed again from what is stored, to the last digit", async () => {
  await serve();
  for (const id of [ROLLOUT, ROLLBACK, ROLLBACK.slice(0, 8)]) {
    const { exit, out } = await run("explain", id, "--json");
    expect(exit).toBe(0);
    const explained = JSON.parse(out) as Explained;
    expect(explained).toMatchObject({ agrees: true, difference: null, rollout: ROLLOUT });
    expect(explained.decisions.at(-1)?.decision).toBe("rollback");
    expect(explained.decisions).toContainEqual(
      expect.objectContaining({ decision: "hold", source: "silent" }),
    );
  }
  const { out } = await run("explain", ROLLBACK);
  expect(out).toContain("fraud-prod: v1.1 beside v1.0, computed again from");
  expect(out).toMatch(/agrees with entry 3 of the history, .*, to the last digit/);
  expect(out).toMatch(/rollback +\d\.\d +errorRate: /);
  expect(out).toContain("fails");
});

async function explain(id: string): Promise<Explained> {
  const { exit, out } = await run("explain", id, "--json");
  expect(exit).toBe(0);
  return JSON.parse(out) as Explained;
}

test("what made a candidate stable is named and computed again, not what came after it", async () => {
  await serveWhat(storeStableRollout(store));
  const found = await explain(ROLLOUT);
  expect(found).toMatchObject({ agrees: true, intervals: 60, recorded: { rollback: null } });
  expect(found.assessment?.decision).toBe("continue");
  const { out } = await run("explain", ROLLOUT);
  expect(out).toMatch(
    /agrees with entry 2 of the history, .*, by which it became stable, to the last digit/,
  );
  const status = JSON.parse((await run("rollout", "status", "--json")).out) as RolloutAnswer;
  expect(status.assessment).toEqual(found.assessment);
});

test("an older history does not say what made it stable: what is stored is computed all the same", async () => {
  await serveWhat(storeStableRollout(store, false));
  expect(await explain(ROLLOUT)).toMatchObject({ agrees: null, intervals: 61, recorded: null });
  const { out } = await run("explain", ROLLOUT);
  expect(out).toContain("nothing was recorded to compare with");
});

test("of a reinstated rollout its id means what ended it, the rollback's what was taken back", async () => {
  await serveWhat(storeReinstatedRollout(store, 1_200));
  const ended = await explain(ROLLOUT);
  expect(ended).toMatchObject({ agrees: true, id: `${ROLLOUT}.1`, recorded: { rollback: null } });
  const undone = await explain(ROLLBACK);
  expect(undone).toMatchObject({ agrees: true, id: ROLLOUT, recorded: { rollback: ROLLBACK } });
  expect(undone.decisions.at(-1)?.decision).toBe("rollback");
  const status = JSON.parse((await run("rollout", "status", "--json")).out) as RolloutAnswer;
  expect(status.assessment).toEqual(ended.assessment);
}, 30_000);

test("over several pages it is the same", async () => {
  await serve(2_300);
  const { exit, out } = await run("explain", ROLLBACK, "--json");
  const explained = JSON.parse(out) as Explained;
  expect(explained.intervals).toBeGreaterThan(2_300);
  expect([exit, explained.agrees]).toEqual([0, true]);
}, 30_000);

test("exported evidence is computed without a server; one altered count is found", async () => {
  await serve();
  const path = join(folder, "evidence.json");
  await run("explain", ROLLBACK, "--export", path);
  const text = readFileSync(path, "utf8");
  expect(await run("explain", "--file", path, "--url", "http://127.0.0.1:1")).toMatchObject({
    exit: 0,
    err: "",
  });
  const saved = JSON.parse(text) as {
    intervals: { interval: { candidate: { errors: number; requests: number } } }[];
    recorded: { assessment: object };
  };
  // A later release may say the same in other words.
  Object.assign(saved.recorded.assessment, { why: "worse" });
  writeFileSync(path, JSON.stringify(saved));
  expect((await run("explain", "--file", path)).exit).toBe(0);
  const failing = saved.intervals.find(({ interval }) => interval.candidate.errors > 0);
  if (failing === undefined) throw new Error("nothing failed");
  failing.interval.candidate.errors -= 1;
  writeFileSync(path, JSON.stringify(saved));
  const altered = await run("explain", "--file", path);
  expect(altered.exit).toBe(1);
  expect(altered.out).toMatch(/DIFFERS from entry 3 of the history/);
  expect(altered.out).toMatch(/first at {2}(logE|metrics)/);
  for (const [bytes, code] of [
    ["{}", 2],
    ["no JSON", 2],
    [text.replace(/"plan":\{/, '"plan":{"metrics":7},"other":{'), 2],
  ] as const) {
    writeFileSync(path, bytes);
    const { exit, err } = await run("explain", "--file", path);
    expect(exit).toBe(code);
    expect(err).toContain("next: ");
  }
});

test("an incident is found by its rollback, its rollout, or the beginning of either", async () => {
  await serve();
  const listed = await run("incident");
  expect(listed.out).toMatch(
    /^ID +WHEN +ENDPOINT +FROM +TO +TRIGGER +WHY\n9c77ab42 +2026-11-21 02:4.+ fraud-prod +v1.1 +v1.0 +analysis +errorRate: too many errors\n/,
  );
  expect(listed.out).toContain("next: lastgood incident 9c77ab42");
  const { exit, out } = await run("incident", ROLLOUT.slice(0, 6));
  expect(exit).toBe(0);
  expect(out).toContain("fraud-prod: v1.1 was left for v1.0");
  expect(out).toMatch(
    /requests {2}\d+ given to it, (\d+) failed: \1 answered by stable instead, 0 seen/,
  );
  expect(out).toMatch(/detected {2}within .+ of the first failed request/);
  expect(out).toContain("back      verified after 12 ms; switch 6 ms");
  expect(out).toMatch(
    /COUNT +ERROR +A REQUEST\n\d+ +timeout +id-\d+\nno inputs were kept \(incidents\.inputs in/,
  );
  expect(out).toMatch(/02:40:00\.000 {2}ana deployed v1\.1\n/);
  expect(out).toContain("next: lastgood explain 9c77ab42");
  const byJson = JSON.parse((await run("incident", ROLLBACK, "--json")).out) as object;
  expect(byJson).toMatchObject({ id: ROLLBACK, blamed: ["errorRate"], verified: true });
});

test("what is not there is refused with what to type", async () => {
  await serve();
  for (const argv of [
    ["incident", "ffffffff"],
    ["explain", "ffffffff"],
    ["incident", "9c7"],
  ]) {
    const { exit, err } = await run(...argv);
    expect(exit).toBe(1);
    expect(err).toContain("next: `lastgood incident` lists");
  }
  expect((await run("explain")).exit).toBe(2);
  expect((await run("explain", "x", "--file", "y")).exit).toBe(2);
  expect((await run("explain", "--file", join(folder, "none.json"))).exit).toBe(2);
  const url = `http://127.0.0.1:${api.port}/api/v1/evidence/${ROLLOUT}?cursor=nonsense`;
  expect((await fetch(url)).status).toBe(400);
});
