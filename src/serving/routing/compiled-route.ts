import { DEFAULT_LIMITS, mainArm, type Route, type RouteRevision } from "../../link/route/index.ts";
import { stickyArm, type WeightedArm } from "./sticky.ts";

/** A route prepared for choosing an arm per request. Immutable: a switch replaces it whole. */
export class CompiledRoute {
  readonly route: Route;
  /** The arms with a weight above 0. */
  readonly arms: readonly WeightedArm[];
  /** Longest body that any arm takes, bytes; checked before the arm is chosen. */
  readonly bodyBytes: number;
  /** Most requests that wait for the endpoint per worker. */
  readonly queue: number;
  readonly #total: number;
  readonly #only: number | null;
  readonly #revisions: ReadonlyMap<number, RouteRevision>;

  constructor(route: Route) {
    this.route = route;
    this.#revisions = new Map(route.revisions.map((revision) => [revision.revision, revision]));
    this.arms = route.split.arms.filter((arm) => arm.weight > 0);
    this.#total = this.arms.reduce((sum, arm) => sum + arm.weight, 0);
    this.#only = this.arms.length === 1 ? (this.arms[0]?.revision ?? null) : null;
    const limits = route.revisions.map((revision) => revision.limits);
    const { bodyBytes, queue } = DEFAULT_LIMITS;
    const isEmpty = limits.length === 0;
    this.bodyBytes = isEmpty ? bodyBytes : Math.max(...limits.map((each) => each.bodyBytes));
    this.queue = isEmpty ? queue : Math.max(...limits.map((each) => each.queue));
  }

  get endpoint(): string {
    return this.route.endpoint;
  }

  /** What the route says of a revision, or undefined where it does not name it. */
  revision(revision: number): RouteRevision | undefined {
    return this.#revisions.get(revision);
  }

  /** True where the split gives the revision traffic. */
  isArm(revision: number): boolean {
    return this.arms.some((arm) => arm.revision === revision);
  }

  /**
   * The revision of one request: by `key` where there is one, else by `random` in [0, 1). Null while
   * the endpoint serves nothing.
   */
  pick(key: string | null, random: number): number | null {
    if (this.#only !== null) return this.#only;
    if (key !== null) return stickyArm(this.arms, this.route.split.salt, key);
    let left = random * this.#total;
    for (const arm of this.arms) {
      left -= arm.weight;
      if (left < 0) return arm.revision;
    }
    return this.arms.at(-1)?.revision ?? null;
  }

  /**
   * The revisions of a version that a URL names (by name or sequence number), the best first: arms
   * before others, newer before older. Where no version has the name, `stable` and `canary` are the
   * trusted revision and the one that is being rolled out.
   */
  ofVersion(version: string): readonly RouteRevision[] {
    const named = this.route.revisions.filter(
      (revision) =>
        revision.version.name === version || String(revision.version.sequence) === version,
    );
    if (named.length === 0) {
      const role = this.revision(this.#ofRole(version) ?? -1);
      return role === undefined ? [] : [role];
    }
    return named.toSorted(
      (a, b) =>
        Number(this.isArm(b.revision)) - Number(this.isArm(a.revision)) || b.revision - a.revision,
    );
  }

  #ofRole(label: string): number | null {
    const { watch } = this.route;
    // At rest what serves is counted by itself, for a rollout to come: there is no candidate then.
    const stable = watch?.stable ?? null;
    if (label === "canary") return stable === null ? null : (watch?.candidate ?? null);
    if (label !== "stable") return null;
    return stable ?? mainArm(this.route);
  }
}
