/** Policy files on the command line, against the real API on a real store. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";
import { parse } from "yaml";

import { runCommandLine, type Ran } from "../../../test/support/command-line.ts";
import {
  folder,
  prepare,
  register,
  store,
  tidyUp,
} from "../../../test/support/registry-fixture.ts";
import { apiOf, rolloutsOf } from "../../../test/support/rollouts-fixture.ts";
import type { ApiServer } from "../../control/api/index.ts";
import type { Rollouts } from "../../control/rollouts/index.ts";
import type { ErrorBody } from "../../core/errors/index.ts";
import { policyJsonSchema } from "../../core/policy/index.ts";

let rollouts: Rollouts;
let api: ApiServer;

beforeEach(async () => {
  await prepare();
  await store.meta.beginEpoch();
  await register("2", "v1.0");
  rollouts = rolloutsOf();
  api = await apiOf(rollouts);
});

afterEach(async () => {
  await api.close(0);
  rollouts.stop();
  await tidyUp();
});

function run(...argv: readonly string[]): Promise<Ran> {
  const env = {
    HOME: folder,
    LASTGOOD_URL: `http://127.0.0.1:${api.port}`,
    LASTGOOD_ACTOR: "tester",
  };
  return runCommandLine(argv, { env, programFolder: folder });
}

/** A policy file with this text; its path. */
function file(text: string): string {
  const path = join(folder, "lastgood.yaml");
  writeFileSync(path, text);
  return path;
}

/** What the refusal of a file says, its path cut short. */
async function refusal(text: string, ...argv: string[]): Promise<{ exit: number; error: string }> {
  const path = file(text);
  const { exit, out } = await run("apply", "-f", path, "--json", ...argv);
  const { error } = JSON.parse(out) as { error: ErrorBody };
  return { exit, error: error.message.replaceAll(path, "lastgood.yaml") };
}

test("apply makes the endpoint, then says what differs, then does nothing", async () => {
  const first = await run("apply", "-f", file("model: fraud\n"));
  expect(first).toEqual({
    exit: 0,
    err: "",
    out: "fraud-prod: made, under this policy\n",
  });
  const changed = file("model: fraud\nrollout:\n  bake: 10m\n  recreate:\n");
  const lines = [
    "  - rollout.blueGreen.steps: []",
    "  - rollout.blueGreen.promotion: automatic",
    "  - rollout.bake: 1h",
    "  + rollout.bake: 10m",
    "  + rollout.recreate: {}",
    "",
  ];
  const dry = await run("apply", "-f", changed, "--dry-run");
  expect(dry.out).toBe(["dry run: fraud-prod: would get this policy", ...lines].join("\n"));
  const second = await run("apply", "-f", changed);
  expect(second.out).toBe(["fraud-prod: policy applied", ...lines].join("\n"));
  const third = await run("apply", "-f", changed);
  expect(third.out).toBe("fraud-prod: has this policy already; nothing was done\n");
  const entries = await store.history.list("fraud-prod");
  expect(entries.map(({ kind, actor }) => `${kind} by ${actor}`)).toEqual([
    "endpoint.created by tester",
    "policy.applied by tester",
    "policy.applied by tester",
  ]);
});

test("a dry run of a new endpoint makes none", async () => {
  const { out } = await run("apply", "-f", file("model: fraud\n"), "--dry-run", "--json");
  expect(JSON.parse(out)).toMatchObject({
    endpoints: [{ endpoint: "fraud-prod", created: true, changed: true, dryRun: true }],
  });
  expect(await store.endpoints.list()).toEqual([]);
});

test("several documents are several endpoints; one that is refused leaves all as they were", async () => {
  const staging = "---\nmodel: fraud\nenvironment: staging\n";
  const { out } = await run("apply", "-f", file(`model: fraud\n${staging}---\n`));
  expect(out).toBe("fraud-prod: made, under this policy\nfraud-staging: made, under this policy\n");
  const unknown = `model: fraud\nrollout: { bake: 7m }\n---\nmodel: nobody\n`;
  expect(await refusal(unknown)).toEqual({ exit: 1, error: 'no model is called "nobody"' });
  expect(await store.history.list("fraud-prod")).toHaveLength(2);
});

test("a mistake is named with its line and column", async () => {
  expect(await refusal("model: fraud\nrollout:\n  bake: 10\n")).toEqual({
    exit: 2,
    error:
      "lastgood.yaml:3:9: rollout.bake: is not a time: write a number with a unit, such as 30s, 10m or 1h30m (366d at most)",
  });
  const cases = [
    ["model: fraud\nrollout:\n  stpes: []\n", "lastgood.yaml:3:3: rollout: unknown key stpes"],
    ["model: fraud\n---\nmodel: fraud\nbake: 1\n", "lastgood.yaml:4:1: unknown key bake"],
    ["rollout:\n  bake: 1h\n", "lastgood.yaml:1:1: model: "],
    ["model: fraud\nanalysis: { alpha: 2 }\nrollback: { cooldown: 1 }\n", "lastgood.yaml:2:20: "],
    ["model: fraud\nmodel: iris\n", "lastgood.yaml:2:1: "],
    ["model: fraud\nrollout: [\n", "lastgood.yaml:3:1: "],
    ["model: *nothing\n", "lastgood.yaml"],
    ["# nothing\n", "lastgood.yaml holds no policy"],
    [
      "model: fraud\n---\nname: fraud-prod\nmodel: fraud\n",
      "lastgood.yaml:3: fraud-prod has a policy already, in line 1",
    ],
  ] as const;
  for (const [text, words] of cases) {
    const { exit, error } = await refusal(text);
    expect([text, exit]).toEqual([text, 2]);
    expect(error).toContain(words);
  }
  expect(await store.endpoints.list()).toEqual([]);
});

test("every mistake of a file is listed for people", async () => {
  const path = file("model: fraud\nanalysis: { alpha: 2 }\nrollback: { cooldown: 1 }\n");
  const { err } = await run("apply", "-f", path);
  expect(err).toContain("(and 1 more)");
  expect(err).toContain(`  ${path}:3:23: rollback.cooldown: is not a time`);
});

test("what policy show prints is a file that changes nothing", async () => {
  const made = await run("apply", "-f", file("model: fraud\nrollout: { canary: }\n"));
  expect(made.exit).toBe(0);
  const shown = await run("policy", "show");
  expect(parse(shown.out)).toMatchObject({ name: "fraud-prod", rollout: { bake: "1h" } });
  const again = await run("apply", "-f", file(shown.out));
  expect(again.out).toContain("nothing was done");
  const json = await run("policy", "show", "fraud", "--json");
  expect(JSON.parse(json.out)).toMatchObject({ endpoint: "fraud-prod", isDefault: false });
});

test("the example is accepted as it is", async () => {
  const example = join(import.meta.dirname, "../../../examples/lastgood.yaml");
  expect((await run("apply", "-f", example)).out).toContain("fraud-prod: made");
  expect(readFileSync(example, "utf8")).toContain("yaml-language-server: $schema=");
});

test("apply --schema prints the schema and asks no server", async () => {
  await api.close(0);
  const { exit, out } = await run("apply", "--schema");
  expect(exit).toBe(0);
  expect(JSON.parse(out)).toEqual(policyJsonSchema());
  expect((await run("apply", "--schema", "--json")).out.trim().split("\n")).toHaveLength(1);
  expect((await run("apply", "--schema", "-f", "x")).exit).toBe(2);
  expect((await run("apply")).exit).toBe(2);
});

test("deploy --policy goes where the policy says", async () => {
  const path = file("name: calm\nmodel: fraud\nrollout: { bake: 9m }\n");
  const { out } = await run("deploy", "fraud@v1.0", "--policy", path, "--dry-run");
  expect(out).toContain("dry run: calm would get v1.0");
  expect(out).toContain("note: policy would be applied: rollout.bake");
  const several = file("model: fraud\n---\nmodel: fraud\nenvironment: staging\n");
  const refused = await run("deploy", "fraud@v1.0", "--policy", several);
  expect(refused).toMatchObject({ exit: 2, err: expect.stringContaining("several endpoints") });
});
