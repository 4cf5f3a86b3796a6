import type { Collected, CollectedItem } from "../../core/api/index.ts";
import type { Clock } from "../../core/time/index.ts";
import { versionLabel, type Digest } from "../../core/version/index.ts";
import {
  listEnvironments,
  removeEnvironment,
  type Environment,
} from "../../link/environment/index.ts";
import type { VersionRecord } from "../../storage/store/index.ts";

/** A version that is being registered is in no store yet: what it uses is not removed so soon, ms. */
const REGISTRATION_MS = 3_600_000;

/** What the collector asks. */
export interface GarbageDependencies {
  readonly dataDir: string;
  readonly clock: Pick<Clock, "now">;
  /** Versions with the digest, of any model. */
  readonly versionsOf: (digest: Digest) => Promise<readonly VersionRecord[]>;
  /** Endpoints that need the version or could return to it, in words. */
  readonly withinReach: (model: string, sequence: number) => Promise<readonly string[]>;
  readonly log: { info(details: object, message: string): void };
}

/** Whether something is needed, in words, and by which versions it was. */
interface Judged {
  readonly needed: string | null;
  readonly versions: readonly VersionRecord[];
}

/** Finds what no version within reach of a rollback needs, and removes it when it is told to. */
export class GarbageCollector {
  readonly #on: GarbageDependencies;

  constructor(dependencies: GarbageDependencies) {
    this.#on = dependencies;
  }

  /** What is, or with `dryRun` would be, removed and kept, each with why. */
  async collect({ dryRun }: { readonly dryRun: boolean }): Promise<Collected> {
    const removed: CollectedItem[] = [];
    const kept: CollectedItem[] = [];
    for (const environment of await listEnvironments(this.#on.dataDir)) {
      const judged = await this.#judge(environment);
      const needed = judged.needed ?? (dryRun ? null : await this.#remove(environment));
      const item = itemOf(environment, judged);
      if (needed === null) removed.push({ ...item, why: whyNot(judged) });
      else kept.push({ ...item, why: needed });
    }
    return { dryRun, removed, kept, bytes: removed.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  async #judge({ versions: digests, usedAt }: Environment): Promise<Judged> {
    const versions: VersionRecord[] = [];
    for (const digest of digests) versions.push(...(await this.#on.versionsOf(digest)));
    for (const version of versions) {
      const needed = await this.#neededBy(version);
      if (needed !== null) return { needed, versions };
    }
    const isNew =
      versions.length < digests.length && this.#on.clock.now() - usedAt < REGISTRATION_MS;
    return {
      needed: isNew ? "a version that uses it may be about to be registered" : null,
      versions,
    };
  }

  async #neededBy(version: VersionRecord): Promise<string | null> {
    const { model, sequence, status } = version;
    const [reach] = await this.#on.withinReach(model, sequence);
    if (reach !== undefined) return `${model}@${versionLabel(version)}: ${reach}`;
    const isOut = status === "failed" || status === "archived";
    return isOut ? null : `${model}@${versionLabel(version)} is ${status}`;
  }

  /** Why it could not be removed, or null. */
  async #remove({ name, bytes }: Environment): Promise<string | null> {
    const removal = await removeEnvironment(this.#on.dataDir, name);
    if (removal !== "removed") return `it is ${removal}`;
    this.#on.log.info({ environment: name, bytes }, "an environment was removed");
    return null;
  }
}

function itemOf({ name, bytes }: Environment, { versions }: Judged): Omit<CollectedItem, "why"> {
  const labels = versions.map((version) => `${version.model}@${versionLabel(version)}`);
  return { kind: "environment", name, bytes, versions: labels.toSorted() };
}

function whyNot({ versions }: Judged): string {
  if (versions.length === 0) return "no registered version uses it";
  const all = versions.map(
    (version) => `${version.model}@${versionLabel(version)} is ${version.status}`,
  );
  return all.join(", ");
}
