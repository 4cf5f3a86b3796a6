import { LastgoodError } from "../../core/errors/index.ts";
import { outputViolation, type Call, type MessageProtocol } from "../protocol/index.ts";
import type { InferResult } from "../runtime/index.ts";
import { answeredBy, errorHeaders } from "./answer.ts";
import { monotonic } from "./clock.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import type { Exchange } from "./exchange.ts";
import type { Guarded } from "./guard.ts";
import { isOwn } from "./own-failures.ts";
import type { RoutedRevision } from "./routed-endpoint.ts";
import { fallbackRoom } from "./safeguards.ts";
import type { ServedRevision } from "./served-revision.ts";

/** Says which revision failed the request that another one answered. */
export const FALLBACK_HEADER = "x-lastgood-fallback";
/** Longest body that is given to a second revision, bytes. */
export const MAX_REPEATED_BYTES = 1024 * 1024;
/** Failures of the version; whatever else went wrong, asking another one would not help. */
const ELIGIBLE: ReadonlySet<string> = new Set([
  "runtime.failed",
  "runtime.timeout",
  "runtime.unavailable",
]);

/** Whether another revision may do better with a request that failed so. */
function isEligible(error: LastgoodError): boolean {
  return ELIGIBLE.has(error.code) && error.details["elsewhere"] !== false;
}

/** A request that the revision it was assigned to has failed. */
export interface FailedRequest {
  readonly exchange: Exchange;
  readonly protocol: MessageProtocol;
  readonly bodyBytes: number;
  readonly call: Call;
  readonly endpoint: string;
  readonly admittedAt: number;
  /** The revision that failed it. */
  readonly routed: RoutedRevision;
  readonly served: ServedRevision;
  readonly error: LastgoodError;
  /** Called once, where stable was asked: what became of it there. */
  readonly onEnd: (fallback: "answered" | "failed") => void;
}

/** What says whether stable may be given a request, read or passed on unread. */
type Repeatable = Omit<FailedRequest, "protocol" | "call" | "onEnd">;

/** A request that failed, and who may answer it instead. */
interface Asking<Failed extends Repeatable> {
  readonly failed: Failed;
  readonly stable: RoutedRevision;
  readonly served: ServedRevision;
}

type Asked = Asking<FailedRequest>;

/** Why a failed request is not given to stable: nobody may, or stable has its hands full. */
type Refusal = "ineligible" | "no-room";

/**
 * Law 5 in one worker: an eligible request that the candidate fails is answered by stable, within
 * what stable has free. The failure has been counted against the candidate before.
 */
export class Fallback {
  readonly #book: EndpointBook;

  constructor(book: EndpointBook) {
    this.#book = book;
  }

  /** Has stable answer the request; where it does not, the error that the caller gets. */
  ask(failed: FailedRequest): LastgoodError | null {
    const { routed, error } = failed;
    const stable = routed.standIn;
    if (stable === null) return error;
    const served = this.#book.served(stable.key);
    const refusal = refusalBy(this.#book, { failed, stable, served });
    if (refusal === "ineligible") return error;
    if (refusal === null) {
      this.#run({ failed, stable, served });
      return null;
    }
    return new LastgoodError(
      "runtime.unavailable",
      `${failed.served.subject} failed this request (${error.message}) and ${served.subject} has no room to answer it`,
      { cause: error },
    );
  }

  #run(asked: Asked): void {
    const { failed, stable, served } = asked;
    const timeoutMs = timeLeft(failed);
    served.standingIn += 1;
    served
      .infer({
        inputs: failed.call.inputs,
        at: monotonic(),
        timeoutMs,
        waitMs: timeoutMs,
        replays: stable.count("replay"),
        isWanted: () => !failed.exchange.isGone,
        // What stable does here is its answer to another's failure, no evidence of its own.
        ticket: null,
      })
      .then(
        (result) => this.#succeed(asked, result),
        (error: unknown) => this.#fail(asked, LastgoodError.from(error)),
      )
      // A defect of ours must end in an answer.
      .catch((error: unknown) => this.#write(asked, LastgoodError.from(error)))
      .finally(() => {
        served.standingIn -= 1;
      });
  }

  #succeed(asked: Asked, { outputs, scoring }: InferResult): void {
    const { failed, stable } = asked;
    // The caller was promised what the candidate's contract says.
    const violation = outputViolation(outputs, failed.routed.revision.contract, stable);
    if (violation !== null) {
      const details = { invalid: violation };
      const message = `${stable.label}: ${violation}`;
      this.#fail(asked, new LastgoodError("runtime.failed", message, { details }));
      return;
    }
    stable.count("fallback").requests += 1;
    failed.onEnd("answered");
    this.#book.guard.good(guardedStable(asked));
    const { endpoint, call } = failed;
    failed.exchange.write(
      failed.protocol.encode(outputs, {
        endpoint,
        version: stable.label,
        signature: stable.revision.signature,
        call,
        scoring,
      }),
      this.#headers(asked),
    );
  }

  #fail(asked: Asked, error: LastgoodError): void {
    asked.failed.onEnd("failed");
    if (error.code === "overloaded") asked.stable.count("shed").requests += 1;
    else {
      const cell = asked.stable.count("fallback");
      cell.requests += 1;
      if (!asked.failed.exchange.isGone) {
        cell.errors += 1;
        this.#book.guard.failed(guardedStable(asked), error);
      }
    }
    this.#write(asked, error);
  }

  #write(asked: Asked, error: LastgoodError): void {
    const { exchange, protocol, admittedAt } = asked.failed;
    if (isOwn(error) && !exchange.isGone) this.#book.failures.note(admittedAt);
    exchange.write(protocol.encodeError(error), {
      ...this.#headers(asked),
      ...errorHeaders(error),
    });
  }

  #headers({ failed, stable }: Asked): Record<string, string> {
    const requestId = this.#book.requestId(stable.key, "fallback");
    const headers = answeredBy(failed.exchange, stable, requestId);
    headers[FALLBACK_HEADER] = `${failed.routed.label}/${failed.routed.number}`;
    return headers;
  }
}

function guardedStable({ failed, stable, served }: Asked): Guarded {
  const { endpoint, admittedAt } = failed;
  return { endpoint, routed: stable, served, admittedAt };
}

/** What is left of a request's own time, ms. */
export function timeLeft({
  routed,
  admittedAt,
}: Pick<FailedRequest, "routed" | "admittedAt">): number {
  return admittedAt + routed.revision.limits.timeoutMs - monotonic();
}

/** Why a failed request is not given to stable, counted with the version that failed it; null: it may be. */
export function refusalBy(book: EndpointBook, asking: Asking<Repeatable>): Refusal | null {
  const { failed, stable, served } = asking;
  const refusal = refusalOf(asking);
  if (refusal === "ineligible") failed.routed.count("ineligible").requests += 1;
  if (refusal === "no-room") {
    failed.routed.count("shed").requests += 1;
    // Where stable is busy with requests of its own, it is not the candidate that is too much.
    const isCrowded = 2 * served.standingIn >= fallbackRoom(stable.revision.limits);
    if (isCrowded) book.guard.shed(failed, failed.error);
  }
  return refusal;
}

function refusalOf({ failed, stable, served }: Asking<Repeatable>): Refusal | null {
  const { error, exchange, bodyBytes } = failed;
  const mayBeAsked =
    isEligible(error) &&
    failed.served.mayRepeat &&
    bodyBytes <= MAX_REPEATED_BYTES &&
    !exchange.isGone &&
    timeLeft(failed) > 0 &&
    // Where neither is there, stable is waited for: it may well be the first to come.
    (served.gate.isOpen || error.code === "runtime.unavailable");
  if (!mayBeAsked) return "ineligible";
  const { inFlight, standingIn } = served;
  return inFlight + standingIn < fallbackRoom(stable.revision.limits) ? null : "no-room";
}
