import { pathText } from "../errors/index.ts";
import type { Policy } from "./policy.ts";
import { policyToFile } from "./to-file.ts";

/** One key of a policy file that differs; null: it is not there. */
export interface PolicyChange {
  /** `rollout.canary.steps[0].weight` */
  readonly key: string;
  readonly before: string | null;
  readonly after: string | null;
}

function leaves(value: unknown, path: readonly PropertyKey[], into: Map<string, string>): void {
  if (typeof value !== "object" || value === null) {
    into.set(pathText(path), String(value));
    return;
  }
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  if (entries.length === 0) into.set(pathText(path), Array.isArray(value) ? "[]" : "{}");
  for (const [key, child] of entries) leaves(child, [...path, key], into);
}

function leavesOf(policy: Policy): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  leaves(policyToFile(policy), [], found);
  return found;
}

/** What differs between two policies, key by key; nothing where they mean the same. */
export function policyChanges(before: Policy, after: Policy): readonly PolicyChange[] {
  const old = leavesOf(before);
  const now = leavesOf(after);
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((key) => {
    const change = { key, before: old.get(key) ?? null, after: now.get(key) ?? null };
    return change.before === change.after ? [] : [change];
  });
}
