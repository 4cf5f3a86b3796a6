import type { LastgoodError } from "../../core/errors/index.ts";
import type { Probed, RouteAcknowledged, RouteDrained } from "../../link/message/index.ts";
import type { RouteOrder } from "../../link/route/index.ts";

/** One gateway's answer, or why there is none. */
export type GatewayAnswer<T> =
  | { readonly ok: true; readonly gateway: string; readonly value: T }
  | { readonly ok: false; readonly gateway: string; readonly error: LastgoodError };

/** A gateway that did not do what was asked. */
export interface GatewayFailure {
  readonly gateway: string;
  readonly error: LastgoodError;
}

/** What became of a route over all gateways; workers are those of every gateway. */
export interface Published extends RouteAcknowledged {
  /** Gateways that did not answer; they may or may not have swapped. */
  readonly failures: readonly GatewayFailure[];
}

function failuresOf(answers: readonly GatewayAnswer<unknown>[]): readonly GatewayFailure[] {
  return answers.flatMap((answer) =>
    answer.ok ? [] : [{ gateway: answer.gateway, error: answer.error }],
  );
}

function valuesOf<T>(answers: readonly GatewayAnswer<T>[]): readonly T[] {
  return answers.flatMap((answer) => (answer.ok ? [answer.value] : []));
}

/** Taken and durable only where every gateway says so. */
export function combinePublished(
  order: RouteOrder,
  answers: readonly GatewayAnswer<RouteAcknowledged>[],
): Published {
  const values = valuesOf(answers);
  const failures = failuresOf(answers);
  return {
    order,
    taken: failures.length === 0 && values.every((value) => value.taken),
    why:
      values.find((value) => !value.taken)?.why ??
      (failures[0] === undefined ? null : failures[0].error.message),
    workers: values.flatMap((value) => value.workers),
    durable: failures.length === 0 && values.every((value) => value.durable),
    failures,
  };
}

/** Drained only where every gateway is; times are of one clock, so the last one counts. */
export function combineDrained(answers: readonly GatewayAnswer<RouteDrained>[]): RouteDrained {
  const values = valuesOf(answers);
  const last = values.flatMap((value) => value.lastOldResponseAt ?? []);
  return {
    drained: answers.every((answer) => answer.ok && answer.value.drained),
    inFlight: values.reduce((sum, value) => sum + value.inFlight, 0),
    lastOldResponseAt: last.length === 0 ? null : Math.max(...last),
    failedRequests: values.reduce((sum, value) => sum + value.failedRequests, 0),
  };
}

/** Answered only where every probe of every gateway was; a gateway without an answer is a failed one. */
export function combineProbed(answers: readonly GatewayAnswer<Probed>[]): Probed {
  const missing = failuresOf(answers).map(({ error }) => ({
    protocol: "link",
    ok: false,
    status: null,
    answeredBy: null,
    ms: 0,
    why: error.message,
  }));
  return {
    ok: answers.every((answer) => answer.ok && answer.value.ok),
    probes: [...valuesOf(answers).flatMap((value) => value.probes), ...missing],
  };
}
