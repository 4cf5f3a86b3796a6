import { compareBuild } from "semver";

/** A version that a GTO tag registered and none deregistered. */
export interface GtoVersion {
  /** `fraud`, or `nlp:fraud` for one in a folder of a monorepo. */
  readonly artifact: string;
  /** `v1.2.0`. */
  readonly version: string;
  readonly commit: string;
  /** Stages that it has now: `prod`. */
  readonly stages: readonly string[];
}

/** One git tag, and the commit that it stands on. */
export interface GitTag {
  readonly name: string;
  readonly commit: string;
  /** When it was made, seconds since 1970. */
  readonly at: number;
}

interface Parsed extends GitTag {
  readonly artifact: string;
  readonly stage: string | null;
  readonly version: string | null;
  readonly cancels: boolean;
  readonly deprecates: boolean;
  readonly counter: number;
}

/*
 * What GTO 1.9 writes, gto/constants.py: `fraud@v1.2.0` registers, `fraud@v1.2.0!` deregisters,
 * `fraud#prod#3` assigns a stage to the version on that commit, `fraud#prod!#4` takes it away,
 * `fraud@deprecated#5` retires the artifact; in a tag `dir=fraud` stands for `dir:fraud`.
 */
const TAG =
  /^(?<artifact>(?:[\w./-]+=)?[A-Za-z0-9](?:[\w/-]*[A-Za-z0-9])?)(?:#(?<stage>[A-Za-z0-9](?:[\w/-]*[A-Za-z0-9])?)(?<unassigns>!?)|@(?<version>v\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)(?<deregisters>!?)|@(?<life>deprecated|created))(?:#(?<counter>\d+))?$/;

function parseTag(tag: GitTag): Parsed | null {
  const groups = TAG.exec(tag.name)?.groups;
  if (groups === undefined) return null;
  return {
    ...tag,
    artifact: (groups["artifact"] ?? "").replace("=", ":"),
    stage: groups["stage"] ?? null,
    version: groups["version"] ?? null,
    cancels: groups["unassigns"] === "!" || groups["deregisters"] === "!",
    deprecates: groups["life"] === "deprecated",
    counter: Number(groups["counter"] ?? 0),
  };
}

function latest(tags: readonly Parsed[]): Parsed | undefined {
  return tags.toSorted((a, b) => a.counter - b.counter || a.at - b.at).at(-1);
}

/**
 * What a repository's tags say by GTO's conventions: the versions of each artefact, the lowest first;
 * other tags are passed over. Of the tags of one stage the one with the highest counter holds.
 */
export function gtoVersions(tags: readonly GitTag[]): readonly GtoVersion[] {
  const parsed = tags.map(parseTag).filter((tag) => tag !== null);
  const byArtifact = Map.groupBy(parsed, (tag) => tag.artifact);
  return [...byArtifact].flatMap(([artifact, own]) => {
    const retired = latest(own.filter((tag) => tag.stage === null && tag.version === null));
    if (retired?.deprecates === true) return [];
    const stages = [...Map.groupBy(own, (tag) => tag.stage)].flatMap(([stage, of]) => {
      const holds = latest(of);
      return stage === null || holds === undefined || holds.cancels
        ? []
        : [{ stage, commit: holds.commit }];
    });
    const versions = [...Map.groupBy(own, (tag) => tag.version)].flatMap(([version, of]) => {
      const holds = latest(of);
      if (version === null || holds === undefined || holds.cancels) return [];
      const mine = stages.filter(({ commit }) => commit === holds.commit).map(({ stage }) => stage);
      return [{ artifact, version, commit: holds.commit, stages: mine }];
    });
    return versions.toSorted((a, b) => compareBuild(a.version, b.version));
  });
}
