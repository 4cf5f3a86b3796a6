/** What a rollback asks of the machine, and of the gateways where the store takes nothing. */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { rollbackBodySchema, type RollbackBody } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { EndpointEvent, Outcome } from "../../core/rollout/index.ts";
import type { RollbackRequest } from "../../link/message/index.ts";
import type { Endpoints } from "./endpoints.ts";
import { rollback } from "./rollback-command.ts";

type Command = (event: (operation: string) => Promise<EndpointEvent>) => Promise<Outcome>;

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
      await expect(rollback(endpoints, asking({ version, ifCurrent }))).rejects.toBe(reached);
      expect(asked).toMatchObject([
        { endpoint: "fraud-prod", version: "fraud@v1.0", ifCurrent: "fraud@v1.2" },
      ]);
    }
  const { endpoints, asked } = endpointsOf(three());
  await expect(rollback(endpoints, asking({ version: "1" }))).rejects.toBe(reached);
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
    await expect(rollback(endpoints, asking(change))).rejects.toMatchObject({
      code: "target.unproven",
      message: `${option} needs a store that takes writes (the disk is full)`,
    });
    expect(asked).toEqual([]);
  }
});
