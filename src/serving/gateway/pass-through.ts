import { LastgoodError } from "../../core/errors/index.ts";
import type { UnreadRequest } from "../../core/redaction/index.ts";
import type { RequestTicket } from "../evidence/index.ts";
import { AnswerLost } from "../http1/index.ts";
import { publicText } from "../protocol/index.ts";
import type { Forwarded, ForwardRequest } from "../runtime/index.ts";
import { admit, type Admission } from "./admission.ts";
import { answeredBy, echoHeaders, errorHeaders } from "./answer.ts";
import { monotonic } from "./clock.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import { FALLBACK_HEADER, MAX_REPEATED_BYTES, refusalBy, timeLeft } from "./fallback.ts";
import { requestHeaders, responseHeaders } from "./forward-headers.ts";
import type { HttpExchange } from "./http-exchange.ts";
import { isOwn } from "./own-failures.ts";
import type { PassedPath } from "./passed-path.ts";
import type { RoutedEndpoint, RoutedRevision } from "./routed-endpoint.ts";
import type { ServedRevision } from "./served-revision.ts";

/** A request for a version that speaks something of its own. */
export interface Passing {
  readonly exchange: HttpExchange;
  readonly to: PassedPath;
}

/** A request whose body was read where it is short, or will be passed on as it comes. */
interface Ready extends Passing {
  readonly body: ForwardRequest["body"];
}

interface Sent {
  readonly passing: Ready;
  readonly routed: RoutedRevision;
  readonly served: ServedRevision;
  readonly arm: Admission["arm"];
  readonly admittedAt: number;
  readonly requestId: string;
  readonly ticket: RequestTicket | null;
}

/** A long answer is judged this long before its deadline, ms: a stream that is still flowing is no error. */
const JUDGED_BEFORE_MS = 50;

/**
 * Passes requests on to a version's own server unread, whatever it speaks: the split, sticky keys,
 * counts, evidence by status and time to the beginning of the answer, and fallback before the first
 * byte are those of every other request.
 */
export class PassThrough {
  readonly #book: EndpointBook;
  readonly #probeToken: string;

  constructor(book: EndpointBook, probeToken: string) {
    this.#book = book;
    this.#probeToken = probeToken;
  }

  /** Answers one request. */
  handle(passing: Passing): void {
    const { exchange } = passing;
    if (exchange.header("upgrade")?.toLowerCase() === "websocket") {
      const why = "WebSocket connections are not passed on";
      this.#refuse(passing, new LastgoodError("protocol.unsupported", why));
      return;
    }
    exchange.take(MAX_REPEATED_BYTES, (error, body) => {
      if (error === null) this.#enter({ ...passing, body });
      else this.#refuse(passing, error);
    });
  }

  #enter(passing: Ready): void {
    try {
      const endpoint = this.#book.find(passing.to.endpoint);
      if (endpoint.hold === null) this.#send(passing, endpoint);
      else {
        const { gate, maxMs } = endpoint.hold;
        const { compiled } = endpoint;
        if (gate.waiting >= compiled.queue)
          throw new LastgoodError("overloaded", `${compiled.endpoint} is being switched`);
        gate.pass(maxMs, "the next version").then(
          () => this.#enter(passing),
          (error: unknown) => this.#refuse(passing, LastgoodError.from(error)),
        );
      }
    } catch (error) {
      this.#refuse(passing, LastgoodError.from(error));
    }
  }

  #send(passing: Ready, endpoint: RoutedEndpoint): void {
    const { exchange } = passing;
    const probeToken = this.#probeToken;
    const chosen = admit(this.#book, endpoint, { exchange, version: null, probeToken });
    const { routed, arm } = chosen;
    const served = this.#book.served(routed.key);
    const { limits } = routed.revision;
    if (served.inFlight >= limits.queue && arm !== "probe") {
      routed.count("shed").requests += 1;
      if (arm === "assigned") routed.evidence?.shed(monotonic());
      const why = `more than ${limits.queue} requests are waiting for ${served.subject}`;
      this.#refuse(passing, new LastgoodError("overloaded", why));
      return;
    }
    const admittedAt = monotonic();
    const isAssigned = arm === "assigned";
    if (isAssigned) served.admit(admittedAt);
    const key = exchange.header("x-lastgood-key");
    const sent: Sent = {
      passing,
      routed,
      served,
      arm,
      admittedAt,
      requestId: this.#book.requestId(routed.key, arm),
      ticket: isAssigned
        ? (routed.evidence?.admit(admittedAt, key, () => unreadOf(passing)) ?? null)
        : null,
    };
    this.#forward(sent)
      .catch((error: unknown) => this.#fail(sent, LastgoodError.from(error)))
      .catch((error: unknown) => this.#refuse(passing, LastgoodError.from(error)))
      .finally(() => {
        if (isAssigned) served.release();
      });
  }

  /** Resolves when the whole answer has left, or its caller. */
  async #forward(sent: Sent): Promise<void> {
    const { passing, routed, served } = sent;
    const { timeoutMs, waitMs } = routed.patience;
    const forwarded = await served.forward(messageOf(passing, timeoutMs), waitMs);
    const error = failureOf(forwarded, served.subject);
    if (error !== null && error.details["rejected"] !== true && this.#mayFallBack(sent, error)) {
      if (!Buffer.isBuffer(forwarded.body)) forwarded.body.destroy();
      throw error;
    }
    this.#count(sent, error);
    if (error !== null) sent.ticket?.failed(error, { requestId: sent.requestId, fallback: "none" });
    const judged = error === null ? this.#judgeLater(sent, forwarded) : null;
    const cut = await this.#write(
      passing,
      forwarded,
      answeredBy(passing.exchange, routed, sent.requestId),
    );
    if (cut === null || error !== null) judged?.(null);
    else {
      judged?.(cut);
      this.#noteCut(sent, cut);
    }
  }

  /** A stream may outlast the interval of its admission: it is judged while it still can be. */
  #judgeLater(
    { ticket, requestId }: Sent,
    { ms, beside }: Forwarded,
  ): (cut: LastgoodError | null) => void {
    if (ticket === null) return () => undefined;
    const answered = { outputs: [], modelMs: ms, batch: 1, frame: { rows: 1 }, beside };
    const left = ticket.deadlineAt - monotonic() - JUDGED_BEFORE_MS;
    const timer = setTimeout(() => ticket.answered(answered), Math.max(0, left));
    timer.unref();
    return (cut) => {
      clearTimeout(timer);
      if (cut === null) ticket.answered(answered);
      else ticket.failed(cut, { requestId, fallback: "none" });
    };
  }

  #count({ routed, served, arm, passing, admittedAt }: Sent, error: LastgoodError | null): void {
    const cell = routed.count(arm);
    cell.requests += 1;
    const guarded = { endpoint: passing.to.endpoint, routed, served, admittedAt };
    if (error === null) {
      if (arm === "assigned") this.#book.guard.good(guarded);
    } else if (error.details["rejected"] === true) cell.rejected += 1;
    else {
      cell.errors += 1;
      if (arm === "assigned") this.#book.guard.failed(guarded, error);
    }
  }

  /** It had answered, and broke off: the request is counted already. */
  #noteCut({ routed, served, arm, passing, admittedAt }: Sent, cut: LastgoodError): void {
    routed.count(arm).errors += 1;
    const guarded = { endpoint: passing.to.endpoint, routed, served, admittedAt };
    if (arm === "assigned") this.#book.guard.failed(guarded, cut);
  }

  async #fail(sent: Sent, error: LastgoodError): Promise<void> {
    const { passing, routed, ticket, requestId } = sent;
    if (passing.exchange.isGone) {
      // Nobody waited for it any more, and what it sent may have ended with it.
      routed.count(sent.arm).requests += 1;
      ticket?.dropped();
      return;
    }
    if (error.code === "overloaded") {
      ticket?.dropped();
      routed.count("shed").requests += 1;
    } else {
      this.#count(sent, error);
      if (this.#mayFallBack(sent, error)) return this.#fallBack(sent, error);
      ticket?.failed(error, { requestId, fallback: "none" });
    }
    this.#refuse(passing, error, answeredBy(passing.exchange, routed, requestId));
  }

  /** Before the first byte, and only what may be sent twice and was kept; a no is counted. */
  #mayFallBack(sent: Sent, error: LastgoodError): boolean {
    const { passing, routed, served, arm, admittedAt } = sent;
    const { exchange, to, body } = passing;
    const stable = routed.standIn;
    if (stable === null || arm !== "assigned") return false;
    const failed = {
      exchange,
      bodyBytes: exchange.hasBegun ? Infinity : keptBytes(body),
      endpoint: to.endpoint,
      admittedAt,
      routed,
      served,
      error,
    };
    return (
      refusalBy(this.#book, { failed, stable, served: this.#book.served(stable.key) }) === null
    );
  }

  async #fallBack(sent: Sent, error: LastgoodError): Promise<void> {
    const { passing, routed, ticket, requestId } = sent;
    const stable = routed.standIn;
    if (stable === null) return;
    const served = this.#book.served(stable.key);
    const headers = answeredBy(
      passing.exchange,
      stable,
      this.#book.requestId(stable.key, "fallback"),
    );
    headers[FALLBACK_HEADER] = `${routed.label}/${routed.number}`;
    const cell = stable.count("fallback");
    cell.requests += 1;
    served.standingIn += 1;
    ticket?.fails(error);
    try {
      const left = timeLeft(sent);
      const forwarded = await served.forward(messageOf(passing, left), left);
      const isFine = failureOf(forwarded, served.subject) === null;
      if (!isFine) cell.errors += 1;
      ticket?.failed(error, { requestId, fallback: isFine ? "answered" : "failed" });
      await this.#write(passing, forwarded, headers);
    } catch (thrown) {
      cell.errors += 1;
      ticket?.failed(error, { requestId, fallback: "failed" });
      this.#refuse(passing, LastgoodError.from(thrown), headers);
    } finally {
      served.standingIn -= 1;
    }
  }

  /** Writes an answer as it comes; gives why the server broke it off, or null. */
  async #write(
    { exchange }: Passing,
    { status, headers, body }: Forwarded,
    own: Readonly<Record<string, string>>,
  ): Promise<LastgoodError | null> {
    let cut: LastgoodError | null = null;
    const broken = (cause: Error): void => {
      // A caller who leaves ends both: it is the server's doing only while the caller is there.
      if (!exchange.isGone)
        cut = new LastgoodError("runtime.failed", `the answer broke off: ${cause.message}`, {
          cause,
          // Those that the same loss took are one incident; a server that stalls is asked each time.
          details: cause instanceof AnswerLost ? { sent: true } : {},
        });
    };
    if (!Buffer.isBuffer(body)) body.once("error", broken);
    await exchange.pass({ status, headers: { ...responseHeaders(headers), ...own }, body });
    return cut;
  }

  #refuse(
    { exchange }: Passing,
    error: LastgoodError,
    headers: Readonly<Record<string, string>> = echoHeaders(exchange),
  ): void {
    if (isOwn(error) && !exchange.isGone) this.#book.failures.note(monotonic());
    const body = JSON.stringify({ error: publicText(error) });
    const json = { "content-type": "application/json" };
    exchange.write(
      { status: error.traits.http, headers: json, body },
      { ...headers, ...errorHeaders(error) },
    );
    exchange.discardForAWhile();
  }
}

function messageOf({ exchange, to, body }: Ready, timeoutMs: number): ForwardRequest {
  return {
    method: exchange.method,
    path: to.path,
    headers: requestHeaders(exchange, to.prefix),
    body,
    timeoutMs: Math.max(1, Math.ceil(timeoutMs)),
  };
}

/** What may be told of a request that nobody reads. */
function unreadOf({ exchange, body }: Ready): UnreadRequest {
  const bytes = keptBytes(body);
  return {
    method: exchange.method,
    contentType: exchange.header("content-type"),
    bytes: Number.isFinite(bytes) ? bytes : null,
  };
}

/** What a status says: 5xx is the version's error, 4xx one that it refused. */
function failureOf({ status }: Forwarded, subject: string): LastgoodError | null {
  if (status < 400) return null;
  const details = status < 500 ? { status, rejected: true } : { status };
  return new LastgoodError("runtime.failed", `${subject} answered ${status}`, { details });
}

/** Bytes of a body; of one that was passed on as it came nothing is left to be sent again. */
function keptBytes(body: Ready["body"]): number {
  if (body === null) return 0;
  return Buffer.isBuffer(body) ? body.length : Infinity;
}
