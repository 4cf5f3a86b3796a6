/** In which order routes go out, and what they wait for. */
import { expect, test } from "vitest";

import { signatureOf } from "../../../test/support/rollout-facts.ts";
import { scenario, type Scenario } from "../../../test/support/rollout-scenario.ts";
import type { Route } from "../../link/route/index.ts";
import type { EndpointDeps, StoredEndpoint } from "./deps.ts";
import { RoutePublisher } from "./route-publisher.ts";
import type { TargetChooser } from "./target-choice.ts";
import type { VersionCatalog } from "./version-catalog.ts";

function stored({ state }: Scenario): StoredEndpoint {
  return { state, revisionOfState: 1, historyHead: null };
}

/** A publisher to gateways that take what they get once `open` is called, and what they got. */
function publishing(): {
  readonly publisher: RoutePublisher;
  readonly sent: Route[];
  readonly ages: unknown[];
  readonly open: () => void;
} {
  const sent: Route[] = [];
  const ages: unknown[] = [];
  const gate = Promise.withResolvers<undefined>();
  const deps = {
    clock: { now: () => 1, monotonic: () => 1 },
    checkpoint: () => undefined,
    store: { meta: { order: () => Promise.resolve({ generation: 1, epoch: 1 }) } },
    gateways: {
      connected: () => ["gateway"],
      publish: async (route: Route) => {
        await gate.promise;
        sent.push(route);
        return { taken: true, order: route.order };
      },
    },
  };
  const manifest = {
    name: null,
    files: [],
    signature: signatureOf(),
    batching: { on: true },
    golden: [],
    reference: null,
  };
  const catalog = { manifest: () => Promise.resolve(manifest) };
  const chooser = {
    choose: (_state: unknown, age: unknown) => {
      ages.push(age);
      return Promise.resolve({ targets: [], passedOver: [] });
    },
  };
  const publisher = new RoutePublisher(
    deps as unknown as EndpointDeps,
    catalog as unknown as VersionCatalog,
    chooser as unknown as TargetChooser,
  );
  return { publisher, sent, ages, open: () => gate.resolve(undefined) };
}

test("no route goes out that is older than one that went out before it", async () => {
  const of = scenario().stable("v1.0").stable("v1.1").deploys("v1.2");
  const { publisher, sent, open } = publishing();
  const now = (): StoredEndpoint => stored(of);
  const all: Promise<unknown>[] = [publisher.publishIfChanged(now), publisher.publish(now)];
  all.push(publisher.publishIfChanged(now));
  // Meanwhile the gateway took v1.1 out by itself, and that is stored.
  of.overridden(2, 1, { id: "breaker" });
  all.push(publisher.publishIfChanged(now));
  open();
  await Promise.all(all);
  expect(sent.map(({ split }) => split.arms)).toEqual(
    sent.map(() => [{ revision: 1, weight: 100 }]),
  );
  expect(sent.at(-1)?.acknowledges).toEqual(["breaker"]);
});

test("a switch hashes nothing: it goes by what is known, and is followed by what is proven anew", async () => {
  const { publisher, ages, open } = publishing();
  open();
  const of = scenario().stable("v1.0").stable("v1.1");
  await publisher.publish(() => stored(of));
  await publisher.publishIfChanged(() => stored(of));
  expect(ages).toEqual(["known", expect.any(Number)]);
});
