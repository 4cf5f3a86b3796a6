import { readFile, writeFile } from "node:fs/promises";

import * as z from "zod";

import type { LastgoodClient } from "../../client/index.ts";
import { evidencePageSchema } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";

const FORMAT = "lastgood-evidence/1";
/** More intervals than this are more than a week of every second. */
const MOST_INTERVALS = 1_000_000;

const evidenceSchema = evidencePageSchema.omit({ next: true });

/** All that a rollout was judged by. */
export type WholeEvidence = z.infer<typeof evidenceSchema>;

const fileSchema = evidenceSchema.extend({ format: z.literal(FORMAT) });

/** Every page of it. @throws `evidence.not-found`. */
export async function downloadEvidence(
  client: LastgoodClient,
  id: string,
  onPage: (intervals: number) => void,
): Promise<WholeEvidence> {
  const { next: second, ...first } = await client.evidence(id);
  const intervals = [...first.intervals];
  let cursor = second;
  while (cursor !== null && intervals.length < MOST_INTERVALS) {
    onPage(intervals.length);
    const page = await client.evidence(first.id, cursor);
    intervals.push(...page.intervals);
    cursor = page.next;
  }
  return { ...first, intervals };
}

/** Evidence that was saved. @throws `input.invalid`. */
export async function readEvidenceFile(path: string): Promise<WholeEvidence> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new LastgoodError("input.invalid", `${path} cannot be read`, {
      hint: "give a file that `lastgood explain ID --export FILE` wrote",
      cause,
    });
  }
  try {
    return fileSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new LastgoodError("input.invalid", `${path} is not evidence that was exported`, {
      hint: "give a file that `lastgood explain ID --export FILE` wrote",
      cause,
    });
  }
}

/** Saves evidence, so that it can be computed again anywhere. */
export async function writeEvidenceFile(path: string, evidence: WholeEvidence): Promise<void> {
  const text = JSON.stringify({ format: FORMAT, ...evidence });
  try {
    await writeFile(path, `${text}\n`);
  } catch (cause) {
    throw new LastgoodError("input.invalid", `${path} cannot be written`, {
      hint: "give a path in a folder of yours",
      cause,
    });
  }
}
