/** What a rollback asks of the machine, and of the gateways where the store takes nothing. */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { rollbackBodySchema, type RollbackBody } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { EndpointEvent, Outcome } from "../../core/rollout/index.ts";
import type { RollbackRequest } from "../../link/message/index.ts";
import type { Endpoints } from "./endpoints.ts";
import { rollback } from "./rollback-command.ts";

type Command = (event: () => Promise<EndpointEvent>) => Promise<Outcome>;

const full = new LastgoodError("store.unavailable", "the disk is full");
const reached = new LastgoodError("target.none", "the gateway was asked");

/** The scenario's endpoint behind a controller that does what the test says with a command. */
function endpointsOf(
  of: Scenario,
  parts: { readonly command?: Command; readonly isReadable?: boolean } = {},
): { readonly endpoints: Endpoints; readonly asked: RollbackRequest[] } {
  const asked: RollbackRequest[] = [];
  const select = (text: string): unknown => {
    if (parts.isReadable === false) throw full;
    const version = of.versions.find(
      ({ name, sequence }) => text === name || text === String(sequence),
    );
    if (version !== undefined) return { ...version, model: of.state.identity.model };
    throw new LastgoodError("version.not-found", `there is no ${text}`);
  };
  const controller = {
    get state() {
      return of.state;
    },
    historyHead: null,
    hasTaken: () => false,
    command: parts.command ?? (() => Promise.reject(full)),
  };
  const endpoints = {
    find: () => ({ controller }),
    chooser: {
      chooseForSwitch: () => Promise.resolve(of.choice()),
      factsAbout: () =>
        Promise.resolve({
          leaving: of.state.revisions[0],
          proof: () => ({ holds: true, warm: true, provenAt: 1 }),
          contract: of.versions[0]?.signature,
        }),
    },
    deps: {
      clock: { monotonic: () => of.now, now: () => of.now },
      select: async (_model: string, text: string) => select(text),
      resolve: async (text: string) => select(text.replace(/^.*[@:/]/, "")),
      gateways: {
        rollback: (request: RollbackRequest) => {
          asked.push(request);
          return Promise.reject(reached);
        },
      },
    },
  };
  return { endpoints: endpoints as never, asked };
}

function asking(change: Partial<RollbackBody>): RollbackBody {
  return { ...rollbackBodySchema.parse({ endpoint: "fraud-prod", actor: "ann" }), ...change };
}

const three = (): Scenario => scenario().stable("v1.0").stable("v1.1").stable("v1.2");

test("where the store takes nothing, the gateways get what was named as they know it", async () => {
  for (const isReadable of [true, false])
    for (const [version, ifCurrent] of [
      ["fraud@v1.0", "fraud@v1.2"],
      ["fraud:v1.0", "fraud:v1.2"],
      ["models:/fraud/v1.0", "models:/fraud/v1.2"],
    ] as const) {
      const { endpoints, asked } = endpointsOf(three(), { isReadable });
      await expect(rollback(endpoints, asking({ version, ifCurrent }), "op")).rejects.toBe(reached);
      expect(asked).toMatchObject([
        { endpoint: "fraud-prod", version: "fraud@v1.0", ifCurrent: "fraud@v1.2" },
      ]);
    }
  const { endpoints, asked } = endpointsOf(three());
  await expect(rollback(endpoints, asking({ version: "1" }), "op")).rejects.toBe(reached);
  expect(asked, "what only the store knows is looked up").toMatchObject([
    { version: "fraud@v1.0" },
  ]);
});

test("what a gateway alone cannot do is refused, not done otherwise", async () => {
  for (const [change, option] of [
    [{ toRevision: 1 }, "--to-revision"],
    [{ version: "v1.0", force: true }, "--force"],
  ] as const) {
    const { endpoints, asked } = endpointsOf(three());
    await expect(rollback(endpoints, asking(change), "op")).rejects.toMatchObject({
      code: "target.unproven",
      message: `${option} needs a store that takes writes (the disk is full)`,
    });
    expect(asked).toEqual([]);
  }
});

/** What the command becomes once its turn has come; `meanwhile` happens before. */
async function outcomeOf(
  of: Scenario,
  change: Partial<RollbackBody>,
  meanwhile: () => unknown = () => undefined,
): Promise<string> {
  const command: Command = async (event) => {
    meanwhile();
    await event();
    throw reached;
  };
  const { endpoints } = endpointsOf(of, { command });
  return rollback(endpoints, asking(change), "op").then(
    ({ already }) => (already ? "already" : "answered"),
    (error: unknown) => (error === reached ? "goes ahead" : LastgoodError.from(error).code),
  );
}

const candidates: Record<string, () => Scenario> = {
  "in a canary": () => scenario().stable("v1.0").canary("v1.1"),
  baking: () => scenario().stable("v1.0").baking("v1.1"),
  "at rest": () => scenario().stable("v1.0").stable("v1.1"),
  "on its way back from it": () => scenario().stable("v1.0").canary("v1.1").rollsBack(),
};
for (const [what, make] of Object.entries(candidates))
  test(`${what} --if-current is what a rollback leaves, not what it goes to`, async () => {
    expect(await outcomeOf(make(), { ifCurrent: "v1.1" })).toBe("goes ahead");
    expect(await outcomeOf(make(), { ifCurrent: "fraud@v1.1", version: "v1.0" })).toBe(
      "goes ahead",
    );
    expect(await outcomeOf(make(), { ifCurrent: "v1.0" })).toBe("current.mismatch");
    expect(await outcomeOf(make(), { ifCurrent: "v1.0", dryRun: true })).toBe("current.mismatch");
  });

test("--if-current is looked at when the command has its turn, not when it came", async () => {
  const of = scenario().stable("v1.0").stable("v1.1").stable("v1.2");
  const meanwhile = (): unknown => of.rollsBack().settles();
  expect(await outcomeOf(of, { ifCurrent: "v1.2", again: true }, meanwhile)).toBe(
    "current.mismatch",
  );
});

const done = (): Scenario => three().rollsBack().settles();

test("what the rollback that it repeats left is meant by --if-current as well", async () => {
  expect(await outcomeOf(done(), { ifCurrent: "v1.2" })).toBe("goes ahead");
  expect(await outcomeOf(done(), { ifCurrent: "v1.2", version: "v1.1" })).toBe("already");
  for (const change of [{ again: true }, { version: "v1.0" }, { toRevision: 1 }])
    expect(await outcomeOf(done(), { ifCurrent: "v1.2", ...change })).toBe("current.mismatch");
  const late = done();
  late.now += 600_000;
  expect(await outcomeOf(late, { ifCurrent: "v1.2" })).toBe("current.mismatch");
  expect(await outcomeOf(scenario().registers("v1.0"), { ifCurrent: "v1.0" })).toBe(
    "current.mismatch",
  );
});
