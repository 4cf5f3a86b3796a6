import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue } from "../../core/tensor/index.ts";
import type { RequestTicket } from "../evidence/index.ts";
import {
  outputViolation,
  type Call,
  type InferAddress,
  type MessageProtocol,
} from "../protocol/index.ts";
import type { InferResult } from "../runtime/index.ts";
import { admit } from "./admission.ts";
import { answeredBy, echoHeaders, errorHeaders } from "./answer.ts";
import { monotonic } from "./clock.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import type { Exchange } from "./exchange.ts";
import { Fallback } from "./fallback.ts";
import { Mirror } from "./mirror.ts";
import { isOwn } from "./own-failures.ts";
import { isPassedThrough } from "./passed-through.ts";
import type { MirrorPlan, RoutedEndpoint, RoutedRevision } from "./routed-endpoint.ts";
import type { ServedRevision } from "./served-revision.ts";

/** A request whose body is there. */
export interface Arrived {
  readonly exchange: Exchange;
  readonly protocol: MessageProtocol;
  readonly address: InferAddress;
  readonly body: Buffer;
}

/** A request on its way through the revision it was admitted to. */
interface Admitted {
  readonly arrived: Arrived;
  readonly routed: RoutedRevision;
  readonly served: ServedRevision;
  readonly arm: "assigned" | "targeted" | "probe";
  readonly admittedAt: number;
  readonly endpoint: string;
  /** Records what becomes of it; null where it is not under watch. */
  ticket: RequestTicket | null;
  /** Where it is sent as well once it is answered, or null. */
  readonly mirror: MirrorPlan | null;
  /** The id under which its answer is noted for labels, or null. */
  notedAs: string | null;
}

/** The predict path of one worker: body, arm, contract, version, answer. */
export class Inference {
  readonly #book: EndpointBook;
  readonly #fallback: Fallback;
  readonly #probeToken: string;
  readonly #mirror: Mirror;

  constructor(book: EndpointBook, probeToken: string) {
    this.#book = book;
    this.#fallback = new Fallback(book);
    this.#probeToken = probeToken;
    this.#mirror = new Mirror((key) => book.served(key));
  }

  /** Longest body that the address takes, bytes. @throws `route.not-found`. */
  bodyLimit(address: InferAddress): number {
    return this.#book.find(address.endpoint).compiled.bodyBytes;
  }

  /** Answers a request: gives it to a revision, which from here on keeps it, whatever is switched. */
  answer(arrived: Arrived): void {
    try {
      const routed = this.#book.find(arrived.address.endpoint);
      if (routed.hold !== null) this.#hold(arrived, routed, routed.hold);
      else this.#run(this.#choose(arrived, routed));
    } catch (error) {
      this.#refuseOwn(arrived, LastgoodError.from(error));
    }
  }

  #hold(
    arrived: Arrived,
    { compiled }: RoutedEndpoint,
    { gate, maxMs }: NonNullable<RoutedEndpoint["hold"]>,
  ): void {
    if (gate.waiting >= compiled.queue) {
      refuse(arrived, new LastgoodError("overloaded", `${compiled.endpoint} is being switched`));
      return;
    }
    gate.pass(maxMs, "the next version").then(
      () => this.answer(arrived),
      (error: unknown) => this.#refuseOwn(arrived, LastgoodError.from(error)),
    );
  }

  #choose(arrived: Arrived, endpoint: RoutedEndpoint): Admitted {
    const { exchange, address, protocol } = arrived;
    const name = endpoint.compiled.endpoint;
    const { version } = address;
    const probeToken = this.#probeToken;
    const { routed, arm } = admit(this.#book, endpoint, { exchange, version, probeToken });
    if (isPassedThrough(routed.revision)) {
      throw new LastgoodError(
        "protocol.unsupported",
        `${name} speaks something of its own, which is passed on and not read`,
        { hint: `send requests to /endpoints/${name}/ and whatever path it has` },
      );
    }
    if (arm === "assigned") this.#book.notice(name, protocol.name);
    return {
      arrived,
      routed,
      arm,
      served: this.#book.served(routed.key),
      admittedAt: monotonic(),
      endpoint: name,
      ticket: null,
      mirror: arm === "assigned" ? endpoint.mirrorOf(routed) : null,
      notedAs: null,
    };
  }

  #run(admitted: Admitted): void {
    const { arrived, routed, served, arm } = admitted;
    const { protocol, exchange, body } = arrived;
    const { limits } = routed.revision;
    if (served.inFlight >= limits.queue && arm !== "probe") {
      if (arm === "assigned") routed.evidence?.shed(admitted.admittedAt);
      this.#shed(admitted, `more than ${limits.queue} requests are waiting for ${served.subject}`);
      return;
    }
    let call: Call;
    try {
      call = protocol.decode(
        {
          contentType: exchange.header("content-type"),
          inferenceHeaderLength: exchange.header("inference-header-content-length"),
          body,
        },
        routed.revision.contract,
      );
    } catch (error) {
      this.#reject(admitted, LastgoodError.from(error));
      return;
    }
    if (arm === "assigned") {
      served.admit(admitted.admittedAt);
      if (routed.evidence !== null) {
        const key = exchange.header("x-lastgood-key");
        admitted.ticket = routed.evidence.admit(admitted.admittedAt, key, call.inputs);
      }
    }
    served
      .infer({
        inputs: call.inputs,
        at: admitted.admittedAt,
        timeoutMs: routed.patience.timeoutMs,
        waitMs: routed.patience.waitMs,
        replays: routed.count("replay"),
        isWanted: () => !exchange.isGone,
        ticket: admitted.ticket,
      })
      .then(
        (result) => this.#finish(admitted, call, () => this.#succeed(admitted, call, result)),
        (error: unknown) => this.#finish(admitted, call, () => this.#fail(admitted, call, error)),
      );
  }

  #finish(admitted: Admitted, call: Call, write: () => void): void {
    try {
      write();
    } catch (error) {
      // A defect of ours must end in an answer.
      this.#writeError(admitted, LastgoodError.from(error));
    } finally {
      if (admitted.arm === "assigned") admitted.served.release();
      this.#sendOn(admitted, call);
    }
  }

  /** Nothing happens while it is not known how the request ended. */
  #sendOn({ mirror: plan, ticket, endpoint, notedAs }: Admitted, call: Call): void {
    if (plan === null || ticket === null) return;
    const onEnd = (outputs: readonly OutputValue[] | null): void => {
      if (notedAs === null) return;
      this.#book.mirrored({ endpoint, requestId: notedAs }, plan.to.revision.revision, outputs);
    };
    this.#mirror.send({ plan, inputs: call.inputs, onEnd }, ticket);
  }

  /** Notes the answer for labels that come later. */
  #note(admitted: Admitted, requestId: string, outputs: readonly OutputValue[]): void {
    const { endpoint, mirror, ticket } = admitted;
    const to = ticket === null ? null : (mirror?.to.revision.revision ?? null);
    admitted.notedAs = requestId;
    this.#book.predicted({ endpoint, requestId }, outputs, to);
  }

  #succeed(admitted: Admitted, call: Call, result: InferResult): void {
    const { outputs, scoring } = result;
    const { arrived, routed, arm, endpoint } = admitted;
    const violation = outputViolation(outputs, routed.revision.contract, routed);
    if (violation !== null) {
      const message = `${routed.label}: ${violation}`;
      const details = { invalid: violation };
      this.#fail(admitted, call, new LastgoodError("runtime.failed", message, { details }));
      return;
    }
    admitted.ticket?.answered(result);
    routed.count(arm).requests += 1;
    const requestId = this.#book.requestId(routed.key, arm);
    if (arm === "assigned") {
      this.#book.guard.good(admitted);
      this.#note(admitted, requestId, outputs);
    }
    arrived.exchange.write(
      arrived.protocol.encode(outputs, {
        endpoint,
        version: routed.label,
        signature: routed.revision.signature,
        call,
        // A probe compares with what was recorded, which is values and no text.
        scoring: arm === "probe" ? undefined : scoring,
      }),
      answeredBy(arrived.exchange, routed, requestId),
    );
  }

  #fail(admitted: Admitted, call: Call, thrown: unknown): void {
    const error = LastgoodError.from(thrown);
    if (error.code === "overloaded") {
      admitted.ticket?.dropped();
      this.#shed(admitted, error.message);
      return;
    }
    const requestId = this.#book.requestId(admitted.routed.key, admitted.arm);
    const cell = admitted.routed.count(admitted.arm);
    cell.requests += 1;
    // Nobody waited for it any more, so it was not run to its end.
    if (!admitted.arrived.exchange.isGone) {
      cell.errors += 1;
      if (admitted.arm === "assigned") this.#book.guard.failed(admitted, error);
    }
    if (admitted.routed.standIn !== null && admitted.arm === "assigned") {
      this.#fallBack(admitted, { call, error, requestId });
      return;
    }
    admitted.ticket?.failed(error, { requestId, fallback: "none" });
    this.#writeError(admitted, error, requestId);
  }

  /** What the candidate failed is counted against it; the answer may still be stable's. */
  #fallBack(
    admitted: Admitted,
    failure: { readonly call: Call; readonly error: LastgoodError; readonly requestId: string },
  ): void {
    const { call, error, requestId } = failure;
    const { body, ...arrived } = admitted.arrived;
    const onEnd = (fallback: "answered" | "failed"): void => {
      admitted.ticket?.failed(error, { requestId, fallback });
      // Without those that the candidate failed, no pair could speak against it.
      this.#sendOn(admitted, call);
    };
    const failed = { ...arrived, ...admitted, bodyBytes: body.length, call, error, onEnd };
    admitted.ticket?.fails(error);
    const refused = this.#fallback.ask(failed);
    if (refused === null) return;
    admitted.ticket?.failed(error, { requestId, fallback: "none" });
    this.#writeError(admitted, refused, requestId);
  }

  /** The caller's mistake by the contract: counted apart, against nobody. */
  #reject(admitted: Admitted, error: LastgoodError): void {
    if (error.traits.http < 500) {
      const cell = admitted.routed.count(admitted.arm);
      cell.requests += 1;
      cell.rejected += 1;
      if (admitted.arm === "assigned") admitted.routed.evidence?.violated(admitted.admittedAt);
    }
    this.#writeError(admitted, error);
  }

  #shed(admitted: Admitted, why: string): void {
    admitted.routed.count("shed").requests += 1;
    this.#writeError(admitted, new LastgoodError("overloaded", why));
  }

  #writeError(
    admitted: Admitted,
    error: LastgoodError,
    requestId = this.#book.requestId(admitted.routed.key, admitted.arm),
  ): void {
    const { arrived, routed } = admitted;
    if (isOwn(error) && !arrived.exchange.isGone) this.#book.failures.note(admitted.admittedAt);
    arrived.exchange.write(arrived.protocol.encodeError(error), {
      ...answeredBy(arrived.exchange, routed, requestId),
      ...errorHeaders(error),
    });
  }

  /** An error before any revision was chosen. */
  #refuseOwn(arrived: Arrived, error: LastgoodError): void {
    if (isOwn(error) && !arrived.exchange.isGone) this.#book.failures.note(monotonic());
    refuse(arrived, error);
  }
}

function refuse(
  { exchange, protocol }: Pick<Arrived, "exchange" | "protocol">,
  error: LastgoodError,
): void {
  exchange.write(protocol.encodeError(error), { ...echoHeaders(exchange), ...errorHeaders(error) });
}
