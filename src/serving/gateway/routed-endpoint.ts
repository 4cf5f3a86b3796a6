import { isDeepStrictEqual } from "node:util";

import { notFiniteIn, sampleFromWire, versionLabel } from "../../core/version/index.ts";
import type { Count } from "../../link/count/index.ts";
import { mainArm, type Route, type RouteRevision, type Watch } from "../../link/route/index.ts";
import type { ArmRecorder, EvidenceRecorder } from "../evidence/index.ts";
import { CompiledRoute } from "../routing/index.ts";
import type { CountBook, CountCell } from "./count-book.ts";
import { Gate } from "./gate.ts";
import { isPassedThrough } from "./passed-through.ts";
import { patienceOf, standInOf, type Patience } from "./safeguards.ts";
import { revisionKey } from "./thread-messages.ts";

/** A revision as the current route has it. */
export interface RoutedRevision {
  readonly key: string;
  readonly revision: RouteRevision;
  /** Who answers, ready for the headers. */
  readonly label: string;
  readonly number: string;
  /** Whether NaN and infinities are among what this endpoint's callers are used to. */
  readonly allowNaN: boolean;
  /** Records what becomes of the split's requests to it; null while it is not under watch. */
  readonly evidence: ArmRecorder | null;
  readonly patience: Patience;
  /** Who answers what this revision fails, or null. */
  readonly standIn: RoutedRevision | null;
  /** Whether the breaker wants to know how its requests end. */
  readonly isGuarded: boolean;
  /** The counts of one kind of traffic in the route's interval. */
  count(arm: Count["arm"]): CountCell;
}

/** Where a share of one revision's requests is sent as well. */
export interface MirrorPlan {
  readonly of: RoutedRevision;
  readonly to: RoutedRevision;
  readonly percent: number;
  /** Names of the outputs that are compared. */
  readonly compared: ReadonlySet<string>;
}

/** An endpoint in one worker under one route. Immutable but for its counts. */
export class RoutedEndpoint {
  readonly compiled: CompiledRoute;
  readonly interval: number;
  /** Where requests wait for the next route, or null. */
  readonly hold: { readonly gate: Gate; readonly maxMs: number } | null;
  /** Revisions that had traffic under this route, or under the last one before a hold. */
  readonly arms: ReadonlySet<number>;
  /** Whether requests are passed on unread. */
  readonly isPassedThrough: boolean;
  readonly #revisions: ReadonlyMap<number, RoutedRevision>;
  readonly #mirror: MirrorPlan | null;

  constructor(
    route: Route,
    options: {
      readonly interval: number;
      readonly holdMs: number | null;
      readonly previous: RoutedEndpoint | undefined;
      readonly counts: CountBook;
      readonly evidence: EvidenceRecorder | null;
    },
  ) {
    const { interval, holdMs, previous, counts, evidence } = options;
    this.compiled = new CompiledRoute(route);
    this.interval = interval;
    this.hold = holdMs === null ? null : { gate: new Gate(false), maxMs: holdMs };
    this.arms =
      this.hold !== null && previous !== undefined
        ? previous.arms
        : new Set(this.compiled.arms.map((arm) => arm.revision));
    this.isPassedThrough = route.revisions.some(
      (each) => this.arms.has(each.revision) && isPassedThrough(each),
    );
    const allowNaN = givesNaN(route);
    const standIn = standInOf(route);
    const revisions = new Map(
      route.revisions.map((revision) => [
        revision.revision,
        routed(route, revision, {
          interval,
          counts,
          allowNaN,
          evidence,
          patience: patienceOf(revision, standIn),
        }),
      ]),
    );
    const candidate = standIn === null ? undefined : revisions.get(standIn.candidate);
    const stable = standIn === null ? undefined : revisions.get(standIn.stable);
    if (standIn !== null && candidate !== undefined && stable !== undefined)
      revisions.set(standIn.candidate, { ...candidate, standIn: stable });
    this.#revisions = revisions;
    this.#mirror = mirrorPlan(route.watch, this.#revisions);
  }

  /** Where a request of the revision is sent as well, by chance; null for most. */
  mirrorOf(routedTo: RoutedRevision): MirrorPlan | null {
    const mirror = this.#mirror;
    if (mirror === null || mirror.of !== routedTo) return null;
    return Math.random() * 100 < mirror.percent ? mirror : null;
  }

  /** The revision of one request; null while the endpoint serves nothing. */
  pick(stickyKey: string | null): RoutedRevision | null {
    const revision = this.compiled.pick(stickyKey, Math.random());
    return revision === null ? null : (this.#revisions.get(revision) ?? null);
  }

  /** A revision the route names. */
  get(revision: number): RoutedRevision | undefined {
    return this.#revisions.get(revision);
  }

  /** Every revision the route names. */
  revisions(): Iterable<RoutedRevision> {
    return this.#revisions.values();
  }
}

/** What a watch wants mirrored, or null where it cannot be: the revisions take other inputs. */
function mirrorPlan(
  watch: Watch | null,
  revisions: ReadonlyMap<number, RoutedRevision>,
): MirrorPlan | null {
  const wanted = watch?.mirror ?? null;
  if (wanted === null) return null;
  const of = revisions.get(wanted.of);
  const to = revisions.get(wanted.to);
  if (of === undefined || to === undefined) return null;
  const { contract } = of.revision;
  if (!isDeepStrictEqual(contract.inputs, to.revision.contract.inputs)) return null;
  const compared = new Set(contract.outputs.map((output) => output.name));
  return { of, to, percent: wanted.percent, compared };
}

/** Whether the stable revision's own golden outputs hold a NaN or an infinity. */
function givesNaN(route: Route): boolean {
  const loaded = (number: number | null): RouteRevision | undefined =>
    route.revisions.find((each) => each.revision === number);
  const target = route.targets.map((each) => loaded(each.revision)).find((each) => each);
  const stable = target ?? loaded(mainArm(route));
  return (stable?.golden ?? []).some((sample) =>
    sampleFromWire(sample).outputs.some((output) => notFiniteIn(output) !== null),
  );
}

function routed(
  { endpoint, safeguards }: Route,
  revision: RouteRevision,
  options: {
    readonly interval: number;
    readonly counts: CountBook;
    readonly allowNaN: boolean;
    readonly evidence: EvidenceRecorder | null;
    readonly patience: Patience;
  },
): RoutedRevision {
  const { interval, counts, allowNaN, patience } = options;
  const number = revision.revision;
  const cells = new Map<Count["arm"], CountCell>();
  return {
    key: revisionKey(endpoint, number, revision.digest),
    revision,
    label: versionLabel(revision.version),
    number: String(number),
    allowNaN,
    evidence: options.evidence?.arm(number) ?? null,
    patience,
    standIn: null,
    isGuarded: safeguards.breaker,
    count: (arm) => {
      let cell = cells.get(arm);
      if (cell === undefined) {
        cell = counts.cell({ endpoint, revision: number, arm, interval });
        cells.set(arm, cell);
      }
      return cell;
    },
  };
}
