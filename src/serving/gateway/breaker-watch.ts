import { setTimeout as pause } from "node:timers/promises";

import { LastgoodError } from "../../core/errors/index.ts";
import { versionLabel } from "../../core/version/index.ts";
import type { Override } from "../../link/override/index.ts";
import type { Route, RouteRevision } from "../../link/route/index.ts";
import { decide, guardedRevision, reasonOf, type TargetHealth } from "./breaker.ts";
import { byTrafficOnly, chooseTargets } from "./choose-target.ts";
import { monotonic, systemClock } from "./clock.ts";
import { effectiveRoute } from "./endpoint-state.ts";
import type { EndpointSwitch } from "./endpoint-switch.ts";
import { HARD_LIMITS, type Breach } from "./hard-limits.ts";
import type { LoadedRevisions } from "./loaded-revisions.ts";
import type { Log } from "./log.ts";
import { rollBack } from "./rollback.ts";
import type { StrikeReport } from "./strikes.ts";
import { revisionKey } from "./thread-messages.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** A target that takes longer to replay its samples is not healthy, ms. */
const REPLAY_MS = 2_000;
/** Between looks at a revision whose limit stays reached while the target is not healthy, ms. */
const LOOK_AGAIN_MS = 3_000;
/** After a way back that failed, traffic stays where it is for so long, ms. */
const FAILED_MS = 60_000;

/** What the breaker needs of the gateway. */
export interface BreakerWatchOptions {
  readonly endpoint: (name: string) => EndpointSwitch | undefined;
  readonly loaded: Pick<LoadedRevisions, "get" | "crashes" | "killersBeside">;
  readonly workers: Pick<WorkerPool, "all">;
  readonly onOverride: (override: Override) => void;
  readonly log: Log;
}

/**
 * The breaker of a gateway: takes a revision out at once when a published limit is reached, with or
 * without a control plane. Everything it does is an override, as a rollback by hand is.
 */
export class BreakerWatch {
  readonly #options: BreakerWatchOptions;
  readonly #busy = new Set<string>();
  readonly #quietUntil = new Map<string, number>();

  constructor(options: BreakerWatchOptions) {
    this.#options = options;
  }

  /** The process of a revision died, and what was in it has been run again. */
  crashed(endpoint: string, revision: RouteRevision): void {
    const key = revisionKey(endpoint, revision.revision, revision.digest);
    const crashes = this.#crashes(endpoint, key);
    if (crashes.count < HARD_LIMITS.crashes) return;
    this.breached(endpoint, revision.revision, { limit: "crashes", ...crashes });
  }

  /** A limit was reached by a revision; acts where that is called for. */
  breached(name: string, revision: number, breach: Breach): void {
    const subject = `${name}/${revision}`;
    const endpoint = this.#options.endpoint(name);
    if (endpoint === undefined || this.#busy.has(subject)) return;
    if (monotonic() < (this.#quietUntil.get(subject) ?? 0)) return;
    this.#busy.add(subject);
    this.#consider(endpoint, revision, breach)
      .then((quietMs) => this.#quietUntil.set(subject, monotonic() + quietMs))
      .catch((error: unknown) => {
        this.#quietUntil.set(subject, monotonic() + FAILED_MS);
        const why = LastgoodError.from(error).message;
        this.#options.log("error", `the breaker could not take ${subject} out`, { why });
      })
      .finally(() => this.#busy.delete(subject));
  }

  /** Gives how long not to look at the revision again, ms. */
  async #consider(endpoint: EndpointSwitch, revision: number, breach: Breach): Promise<number> {
    const { record } = endpoint;
    if (record === null) return 0;
    const route = effectiveRoute(record);
    if (guardedRevision(route) !== revision) return 0;
    const left = new Set(record.overrides.map((override) => override.from));
    const target = firstTarget(endpoint, route, left);
    const reports = await this.#reports(route, [revision, ...(target === null ? [] : [target])]);
    const decision = decide({
      route,
      revision,
      breach,
      lastGoodAt: latest(reports.get(revision)),
      target: target === null ? null : await this.#health(endpoint, target, { revision, reports }),
    });
    if (decision.act) {
      await this.#takeOut(endpoint, revision, decision);
      return 0;
    }
    if (decision.why === null) return 0;
    this.#options.log("warn", `${endpoint.endpoint}/${revision} stays in spite of its failures`, {
      failures: reasonOf(breach),
      why: decision.why,
    });
    return LOOK_AGAIN_MS;
  }

  async #takeOut(
    endpoint: EndpointSwitch,
    revision: number,
    { trigger, reason }: Extract<ReturnType<typeof decide>, { act: true }>,
  ): Promise<void> {
    const command = {
      endpoint: endpoint.endpoint,
      version: null,
      ifCurrent: null,
      actor: "lastgood",
      reason,
      keepStatus: false,
      again: true,
      dryRun: false,
    };
    const { onOverride } = this.#options;
    await rollBack(endpoint, command, {
      startedAt: monotonic(),
      clock: systemClock,
      onOverride,
      trigger,
      leaves: revision,
    });
  }

  async #health(
    endpoint: EndpointSwitch,
    target: number,
    known: { readonly revision: number; readonly reports: Reports },
  ): Promise<TargetHealth | null> {
    const described = endpoint.record?.route.revisions ?? [];
    const revision = described.find((each) => each.revision === target);
    if (revision === undefined) return null;
    const key = revisionKey(endpoint.endpoint, target, revision.digest);
    const loaded = this.#options.loaded.get(key);
    const replayed = await Promise.race([
      loaded?.replay() ?? null,
      pause(REPLAY_MS, `its samples took longer than ${REPLAY_MS} ms`, { ref: false }),
    ]);
    const reports = known.reports.get(target) ?? [];
    return {
      revision: target,
      label: versionLabel(revision.version),
      doubt: replayed ?? endpoint.doubt(revision),
      crashes: this.#crashes(endpoint.endpoint, key).count,
      failures: Math.max(0, ...reports.map((report) => report.failures)),
      lastGoodAt: latest(reports),
    };
  }

  /** What the workers know of how the revisions' requests end. */
  async #reports(route: Route, revisions: readonly number[]): Promise<Reports> {
    const keys = new Map(
      route.revisions
        .filter((each) => revisions.includes(each.revision))
        .map((each) => [revisionKey(route.endpoint, each.revision, each.digest), each.revision]),
    );
    const answers = (await this.#options.workers.all({
      kind: "strikes",
      keys: [...keys.keys()],
    })) as Readonly<Record<string, StrikeReport>>[];
    return new Map(
      [...keys].map(([key, revision]) => [revision, answers.flatMap((each) => each[key] ?? [])]),
    );
  }

  /** A request that ended other revisions' processes too says nothing about this one. */
  #crashes(endpoint: string, key: string): { readonly count: number; readonly why: string } {
    const { loaded } = this.#options;
    return loaded.crashes(key).counted(monotonic(), loaded.killersBeside(endpoint, key));
  }
}

/** By revision, one for each worker that has served it. */
type Reports = ReadonlyMap<number, readonly StrikeReport[]>;

function latest(reports: readonly StrikeReport[] | undefined): number | null {
  const times = (reports ?? []).flatMap(({ lastGoodAt: at }) => (at === null ? [] : [at]));
  return times.length === 0 ? null : Math.max(...times);
}

/** Where a rollback would go now, or null. */
function firstTarget(
  endpoint: EndpointSwitch,
  route: Route,
  left: ReadonlySet<number>,
): number | null {
  const doubt = (revision: RouteRevision): string | null => endpoint.doubt(revision);
  try {
    const choice = { route: byTrafficOnly(route), left, version: null, doubt };
    const { candidates } = chooseTargets(choice);
    return candidates[0]?.revision.revision ?? null;
  } catch {
    return null;
  }
}
