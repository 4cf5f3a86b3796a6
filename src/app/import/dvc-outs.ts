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

/**
 * The outputs of stages that the lock at a path names; none where it is no lock.
 * @throws `artifact.invalid` for what is no YAML.
 */
export function lockOuts(text: string, at: string): readonly DvcOut[] {
  const stages = lockSchema.safeParse(parseYaml(text, at)).data?.stages ?? {};
  return outsOf(
    Object.values(stages).flatMap(({ outs }) => outs),
    posix.dirname(at),
  );
}
