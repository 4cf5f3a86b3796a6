import {
  evidenceIdOf,
  revisionOf,
  rolloutOf,
  type EndpointEvent,
  type EndpointState,
  type Rollout,
} from "../../core/rollout/index.ts";
import type { EndpointDeps } from "./deps.ts";

/** What a rollback left, and the rollout that it ended, if it did. */
interface Left {
  readonly revision: number;
  readonly rollout: Rollout | null;
}

/** What an event tells to have been left; null where nothing was judged by it. */
function leftBy(state: EndpointState, event: EndpointEvent): Left | null {
  const { activity } = state;
  if (event.type === "overridden") {
    const rollout = rolloutOf(state);
    const isIts = rollout?.candidate === event.from;
    return { revision: event.from, rollout: isIts ? rollout : null };
  }
  if (event.type !== "switched" && event.type !== "switchFailed") return null;
  if (activity.phase !== "RollingBack") return null;
  const { back, rollout } = activity;
  return back.kind === "rollback" || back.kind === "revert"
    ? { revision: back.from, rollout }
    : null;
}

/**
 * The end of a rollback, with the last log lines of what it left, so that they stay as long as it is
 * told of. What cannot be read is left out: no rollback waits for it, or fails of it. Read only once the
 * traffic has moved, and from where the event itself is stored right after.
 */
export async function withLogLines<E extends EndpointEvent>(
  { signals }: Pick<EndpointDeps, "signals">,
  state: EndpointState,
  event: E,
): Promise<E> {
  const left = leftBy(state, event);
  if (left === null) return event;
  try {
    const logLines = await linesOf(signals, state, left);
    return logLines.length === 0 ? event : { ...event, logLines };
  } catch {
    return event;
  }
}

async function linesOf(
  signals: EndpointDeps["signals"],
  state: EndpointState,
  { revision, rollout }: Left,
): Promise<readonly string[]> {
  // A source that a person chose says which lines are errors: nothing of it is no reason to look elsewhere.
  const isRead = rollout?.policy.analysis.metrics.some(({ kind }) => kind === "logs") === true;
  if (isRead) return signals.recentLogLines({ rollout: evidenceIdOf(rollout) });
  if (revisionOf(state, revision)?.runtime.kind !== "process") return [];
  return signals.lastOutput({ endpoint: state.identity.name, revision });
}
