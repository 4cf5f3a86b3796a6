import { posix } from "node:path";

import * as z from "zod";

import { parseYaml } from "../model-folder/index.ts";

/*
 * What DVC 2 and 3 write into git: `x.dvc` beside what it tracks, and `dvc.lock` for the outputs of
 * stages: https://dvc.org/doc/user-guide/project-structure
 */
const outSchema = z.object({ path: z.string(), md5: z.string().optional() });
const pointerSchema = z.object({ outs: z.array(outSchema), wdir: z.string().default(".") });
const lockSchema = z.object({
  stages: z.record(z.string(), z.object({ outs: z.array(outSchema).default([]) })).default({}),
});

const stageSchema = z.object({ wdir: z.string().default(".") });
/** Stages of a loop (`foreach`, `matrix`) are described by what it does each time. */
const stagesSchema = z.object({
  stages: z
    .record(
      z.string(),
      z.union([z.object({ do: stageSchema }).transform((loop) => loop.do), stageSchema]),
    )
    .default({}),
});

/** A file or folder that DVC keeps. */
export interface DvcOut {
  /** From the root of the repository. */
  readonly path: string;
  /** Ends in `.dir` for a folder; null where DVC knows it by something else. */
  readonly md5: string | null;
}

/** Out of the repository: a bucket, or a place of somebody's machine. */
function isElsewhere(path: string): boolean {
  return posix.isAbsolute(path) || /^[a-z][a-z0-9+.-]*:\/\//i.test(path);
}

function outsOf(outs: readonly z.infer<typeof outSchema>[], folder: string): readonly DvcOut[] {
  return outs
    .filter(({ path }) => !isElsewhere(path))
    .map(({ path, md5 = null }) => ({ path: posix.join(folder, path), md5 }));
}

/**
 * What the pointer at a path stands for; null where the file is none.
 * @throws `artifact.invalid` for what is no YAML.
 */
export function pointerOuts(text: string, at: string): readonly DvcOut[] | null {
  const { data } = pointerSchema.safeParse(parseYaml(text, at));
  return data === undefined ? null : outsOf(data.outs, posix.join(posix.dirname(at), data.wdir));
}

/** Where the stages of a `dvc.yaml` work, from its folder, by their names. */
function workingFolders(text: string | null, at: string): ReadonlyMap<string, string> {
  const { data } = stagesSchema.safeParse(text === null ? {} : parseYaml(text, at));
  return new Map(Object.entries(data?.stages ?? {}).map(([name, { wdir }]) => [name, wdir]));
}

/**
 * The outputs of stages that the lock at a path names; none where it is no lock. `stages` is the
 * `dvc.yaml` beside it: outputs lie where their stage works (`wdir`).
 * @throws `artifact.invalid` for what is no YAML.
 */
export function lockOuts(text: string, stages: string | null, at: string): readonly DvcOut[] {
  const folder = posix.dirname(at);
  const locked = lockSchema.safeParse(parseYaml(text, at)).data?.stages ?? {};
  const works = workingFolders(stages, posix.join(folder, "dvc.yaml"));
  return Object.entries(locked).flatMap(([name, { outs }]) => {
    // Those of a loop are named `train@first`.
    const wdir = works.get(name) ?? works.get(name.replace(/@.*$/s, "")) ?? ".";
    return outsOf(outs, posix.join(folder, wdir));
  });
}
