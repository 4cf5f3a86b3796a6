import { Gateways } from "../../src/control/link/index.ts";
import type { Published } from "../../src/control/link/index.ts";
import { LastgoodError } from "../../src/core/errors/index.ts";
import type { EndpointState } from "../../src/core/rollout/index.ts";
import type { RevisionState } from "../../src/link/message/index.ts";
import type { Route } from "../../src/link/route/index.ts";
import type { Store } from "../../src/storage/store/index.ts";
import { ENDPOINT, type Sabotage } from "./world/world.ts";

/** Law 2 taken out: what is known not to hold is taken for proven all the same. */
class CredulousGateways extends Gateways {
  override revisionStates(): readonly RevisionState[] {
    return super
      .revisionStates()
      .map((state) => (state.state === "failed" ? { ...state, state: "ready" } : state));
  }
}

/** Law 3 taken out: a route that was sent counts as taken. */
class HastyGateways extends Gateways {
  override publish(route: Route): Promise<Published> {
    super.publish(route).catch(() => undefined);
    const told = { order: route.order, taken: true, why: null, workers: [], failures: [] };
    return Promise.resolve({ ...told, durable: true });
  }
}

/** Law 1 taken out: nothing is kept loaded but what serves or is on its way. */
function nothingWarm(route: Route): Route {
  const targets = new Set(route.targets.map(({ revision }) => revision));
  const arms = new Set(route.split.arms.map(({ revision }) => revision));
  const isNeeded = (revision: number): boolean => arms.has(revision) || !targets.has(revision);
  return { ...route, revisions: route.revisions.filter(({ revision }) => isNeeded(revision)) };
}

/** Law 6 taken out: of what a rollout is judged by only the newest record is kept. */
export const FORGETFUL: Sabotage = { control: { store: forgetful } };

function forgetful(store: Store): Store {
  const { evidence } = store;
  return {
    ...store,
    evidence: {
      ...evidence,
      append: async (records) => {
        const stored = await evidence.append(records);
        for (const { watch } of stored) {
          const all = await evidence.list(watch);
          // The store gives its own records out: what is cut from them is gone.
          for (const { body, source } of all.slice(0, -1))
            if (source.startsWith("gateway ")) Object.assign(body as object, { arms: [] });
        }
        return stored;
      },
    },
  };
}

/** Law 4 taken out: a control plane knows nothing of the commands that those before it took. */
function forgetsCommands(store: Store): Store {
  const { endpoints } = store;
  return {
    ...store,
    endpoints: {
      ...endpoints,
      list: async () =>
        (await endpoints.list()).map((record) => ({
          ...record,
          state: { ...(record.state as EndpointState), applied: [] },
        })),
    },
  };
}

interface Arms {
  readonly arms?: readonly {
    readonly revision: number;
    readonly counts: { readonly requests: number; readonly errors: number };
  }[];
}

/** Law 6 taken out: after each record a test for one look is made, at 5 %, and acted upon. */
export function peekingBuild(): Sabotage {
  const sums = new Map<string, Map<number, { requests: number; bad: number }>>();
  return {
    control: {
      store: (store, control) => ({
        ...store,
        evidence: {
          ...store.evidence,
          append: async (records) => {
            const stored = await store.evidence.append(records);
            for (const { watch, body } of stored) {
              const sum = sums.get(watch) ?? new Map<number, { requests: number; bad: number }>();
              sums.set(watch, sum);
              for (const { revision, counts } of (body as Arms).arms ?? []) {
                const own = sum.get(revision) ?? { requests: 0, bad: 0 };
                own.requests += counts.requests;
                own.bad += counts.errors;
                sum.set(revision, own);
              }
              if (!watch.startsWith("baseline") && looksWorse(sum))
                control.rollouts.rollback(peeked).catch(refused);
            }
            return stored;
          },
        },
      }),
    },
  };
}

const peeked = {
  endpoint: ENDPOINT,
  version: null,
  toRevision: null,
  dryRun: false,
  force: false,
  again: false,
  keepStatus: false,
  ifCurrent: null,
  trigger: "analysis",
  reason: "significant",
  actor: "lastgood",
} as const;

function refused(error: unknown): void {
  if (!(error instanceof LastgoodError)) throw error;
}

function looksWorse(sum: ReadonlyMap<number, { requests: number; bad: number }>): boolean {
  const [older, newer] = [...sum].toSorted(([a], [b]) => a - b).map(([, own]) => own);
  if (older === undefined || newer === undefined) return false;
  if (older.requests === 0 || newer.requests === 0) return false;
  const pooled = (older.bad + newer.bad) / (older.requests + newer.requests);
  const deviation = Math.sqrt(pooled * (1 - pooled) * (1 / older.requests + 1 / newer.requests));
  return (newer.bad / newer.requests - older.bad / older.requests) / deviation > 1.645;
}

/** A build that lacks a law's mechanism, and what is said of it. */
export interface BrokenBuild {
  readonly what: string;
  readonly sabotage: Sabotage;
  readonly says: RegExp;
  /** Seed of histories of which an early one finds it. */
  readonly seed: number;
}

/** One for each mechanism. */
export const BROKEN_BUILDS: readonly BrokenBuild[] = [
  {
    what: "law 1: nothing is kept warm",
    sabotage: { gateway: { route: nothingWarm } },
    says: /^law 1: /,
    seed: 1,
  },
  {
    what: "law 2: what does not hold is taken for proven",
    sabotage: { control: { Gateways: CredulousGateways } },
    says: /^law 2: /,
    seed: 19,
  },
  {
    what: "law 3: nobody waits until the workers have the route",
    sabotage: { control: { Gateways: HastyGateways } },
    // What has traffic before it is loaded there shows at once; that a report comes too early, seldom.
    says: /^law [35]: /,
    seed: 3,
  },
  {
    what: "law 3: every probe counts as answered",
    sabotage: { gateway: { probed: (probed) => ({ ...probed, ok: true }) } },
    says: /^law 3: /,
    seed: 7,
  },
  {
    what: "law 4: history can be written anew",
    sabotage: {
      disk: (disk) => {
        const append = disk.append.bind(disk);
        disk.append = (endpoint, drafts, undo) => {
          const chain = disk.history.get(endpoint);
          const first = chain?.[0];
          if (chain !== undefined && first !== undefined && chain.length > 4)
            chain[0] = { ...first, actor: "nobody" };
          return append(endpoint, drafts, undo);
        };
      },
    },
    says: /^law 4: /,
    seed: 1,
  },
  {
    what: "law 4: a command that is repeated after a crash is done again",
    sabotage: { control: { store: forgetsCommands } },
    says: /^law 4: operation-\d+.* is done once/,
    seed: 1,
  },
  {
    what: "law 5: traffic goes to what is not loaded yet",
    sabotage: { gateway: { isHasty: true } },
    says: /^law 5: /,
    seed: 1,
  },
  {
    what: "law 7: a gateway takes whatever route comes",
    sabotage: { gateway: { forgets: true } },
    says: /^law 7: /,
    seed: 1,
  },
  {
    what: "law 7: what happened meanwhile is not heard",
    sabotage: { control: { isDeaf: true } },
    says: /^law 7: /,
    seed: 1,
  },
];
