/** A switch is verified at every gateway that is connected when it is reported done (law 3). */
import { expect, test } from "vitest";

import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import { pendingEffects, type Effect } from "../../core/rollout/index.ts";
import type { EndpointDeps } from "./deps.ts";
import type { RoutePublisher } from "./route-publisher.ts";
import { switchTraffic } from "./switch-traffic.ts";

type Request = "publish" | "probe" | "drained";

/** Gateways that are asked all at once, and what happens before each of the answers. */
class Stage {
  readonly of: Scenario = scenario().stable("v1.0").canary("v1.1").rollsBack();
  readonly asked: string[] = [];
  readonly connected = new Set(["one"]);
  /** Gateways at which no probe is answered. */
  readonly mute = new Set<string>();
  now = 0;
  before: (request: Request, round: number) => void = () => undefined;
  #rounds = 0;

  run(): ReturnType<typeof switchTraffic> {
    const effect = pendingEffects(this.of.state).find(
      (each): each is Extract<Effect, { do: "switch" }> => each.do === "switch",
    );
    if (effect === undefined) throw new Error("nothing is switched");
    const { of } = this;
    const deps = {
      clock: { monotonic: () => this.now, now: () => this.now },
      timers: { pause: () => Promise.resolve() },
      checkpoint: () => undefined,
      gateways: {
        connected: () => [...this.connected].map((incarnation) => ({ incarnation })),
        probe: async () => {
          const probes = this.#ask("probe").map((each) => ({
            ok: !this.mute.has(each),
            why: `${each} is mute`,
          }));
          return { ok: probes.every(({ ok }) => ok), probes };
        },
        drained: async () => {
          this.#ask("drained");
          return { drained: true, inFlight: 0, lastOldResponseAt: null, failedRequests: 0 };
        },
      },
    };
    const publisher = {
      publish: async () => {
        this.#rounds += 1;
        const workers = this.#ask("publish").map(() => ({
          swappedAt: this.now,
          lastOldAdmittedAt: this.#rounds === 1 ? 1 : null,
        }));
        return { taken: true, order: {}, workers, durable: true };
      },
      chooseNow: () => Promise.resolve({ targets: [], passedOver: [] }),
    };
    return switchTraffic(
      {
        deps: deps as unknown as EndpointDeps,
        publisher: publisher as unknown as RoutePublisher,
        stored: () => ({ state: of.state, revisionOfState: 1, historyHead: null }),
        isStopped: () => false,
      },
      effect,
      new Map(),
    );
  }

  #ask(request: Request): readonly string[] {
    const gateways = [...this.connected];
    this.now += 10;
    this.before(request, this.#rounds);
    this.asked.push(...gateways.map((each) => `${request} ${each}`));
    return gateways;
  }
}

test("with nobody new it is asked once", async () => {
  const stage = new Stage();
  expect(await stage.run()).toMatchObject({ type: "switched", measured: { switchMs: 10 } });
  expect(stage.asked).toEqual(["publish one", "probe one", "drained one"]);
});

test.each(["publish", "probe", "drained"] as const)(
  "a gateway that comes during %s gets the route and is probed before it is done",
  async (during) => {
    const stage = new Stage();
    stage.before = (request, round) => {
      if (request === during && round === 1) stage.connected.add("two");
    };
    const done = await stage.run();
    expect(stage.asked).toEqual(expect.arrayContaining(["publish two", "probe two"]));
    // The last worker to swap is the newcomer's; what was admitted last is known from the first round.
    expect(done).toMatchObject({
      type: "switched",
      measured: { switchMs: 40, lastOldAdmittedMs: 1 },
    });
  },
);

test("one that was started anew meanwhile is asked as well", async () => {
  const stage = new Stage();
  stage.before = (request, round) => {
    if (request !== "drained" || round > 1) return;
    stage.connected.delete("one");
    stage.connected.add("one, again");
  };
  expect(await stage.run()).toMatchObject({ type: "switched" });
  expect(stage.asked).toContain("probe one, again");
});

test("where the newcomer answers no probe the switch has failed; not where it only had no route yet", async () => {
  const stage = new Stage();
  stage.before = (request, round) => {
    if (request === "publish" && round === 1) stage.connected.add("two").add("three");
    if (request === "probe" && round === 1) stage.mute.add("two");
    if (request === "probe" && round === 2) stage.mute.delete("two");
  };
  expect(await stage.run()).toMatchObject({ type: "switched" });
  stage.mute.add("three");
  expect(await stage.run()).toMatchObject({
    type: "switchFailed",
    error: { code: "verification.failed", message: expect.stringContaining("three is mute") },
  });
});

test("what was overtaken while another gateway came is not gone on with", async () => {
  const stage = new Stage();
  stage.before = (request) => {
    if (request !== "drained") return;
    stage.connected.add("two");
    stage.of.settles();
  };
  expect(await stage.run()).toBeNull();
  expect(stage.asked).not.toContain("publish two");
});
