import type { Watched } from "./watched.ts";

/** One revision of a watched rollout. */
export interface ArmName {
  readonly endpoint: string;
  readonly revision: number;
  readonly version: string;
}

/** What a configured text may stand in for. */
const PLACEHOLDER = /\{\{\s*(version|revision|endpoint)\s*\}\}/g;

/** Whether the text says of which revision it is. */
export function tellsArms(text: string): boolean {
  return /\{\{\s*(version|revision)\s*\}\}/.test(text);
}

/** The text for one revision; `escape` makes a name harmless where it is put. */
export function filledIn(text: string, arm: ArmName, escape: (name: string) => string): string {
  return text.replaceAll(PLACEHOLDER, (_, name: "version" | "revision" | "endpoint") =>
    escape(String(arm[name])),
  );
}

/** The candidate of a rollout. */
export function candidateOf(watched: Watched): ArmName {
  const { endpoint, candidate, candidateVersion } = watched;
  return { endpoint, revision: candidate, version: candidateVersion };
}

/** The stable revision of a rollout, or null. */
export function stableOf(watched: Watched): ArmName | null {
  const { endpoint, stable, stableVersion } = watched;
  return stable === null ? null : { endpoint, revision: stable, version: stableVersion ?? "" };
}
