import type { IncomingMessage, ServerResponse } from "node:http";

import { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue } from "../../core/tensor/index.ts";
import type { RequestTicket } from "../evidence/index.ts";
import {
  outputViolation,
  type Call,
  type InferAddress,
  type ScoringProtocol,
} from "../protocol/index.ts";
import type { InferResult } from "../runtime/index.ts";
import { answeredBy, echoHeaders, errorHeaders, writeAnswer } from "./answer.ts";
import { decompress, readBody } from "./body.ts";
import { monotonic } from "./clock.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import { Fallback } from "./fallback.ts";
import { Mirror } from "./mirror.ts";
import { isOwn } from "./own-failures.ts";
import { parseProbeHeader, PROBE_HEADER } from "./probe-header.ts";
import type { MirrorPlan, RoutedEndpoint, RoutedRevision } from "./routed-endpoint.ts";
import type { ServedRevision } from "./served-revision.ts";

/** A request whose body is there. */
interface Arrived {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly protocol: ScoringProtocol;
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

/** The rest of an oversized body is read this long, ms. */
const DISCARD_MS = 2_000;

function header(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === "string" ? value : null;
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

  /** Answers one inference request. */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    { protocol, address }: { readonly protocol: ScoringProtocol; readonly address: InferAddress },
  ): void {
    let limit: number;
    try {
      limit = this.#book.find(address.endpoint).compiled.bodyBytes;
    } catch (error) {
      refuse({ request, response, protocol }, LastgoodError.from(error));
      return;
    }
    readBody(request, limit, (error, body) => {
      const encoding = request.headers["content-encoding"];
      const arrived = { request, response, protocol, address, body };
      if (error !== null) refuse(arrived, error);
      else if (encoding === undefined || encoding === "identity") this.#admit(arrived);
      else {
        decompress(body, encoding, limit).then(
          (plain) => this.#admit({ ...arrived, body: plain }),
          (cause: unknown) => refuse(arrived, LastgoodError.from(cause)),
        );
      }
    });
  }

  /** Gives the request to a revision; from here on it keeps it, whatever is switched. */
  #admit(arrived: Arrived): void {
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
      () => this.#admit(arrived),
      (error: unknown) => this.#refuseOwn(arrived, LastgoodError.from(error)),
    );
  }

  #choose(arrived: Arrived, endpoint: RoutedEndpoint): Admitted {
    const { request, address } = arrived;
    const name = endpoint.compiled.endpoint;
    const admitted = (routed: RoutedRevision, arm: Admitted["arm"]): Admitted => ({
      arrived,
      routed,
      arm,
      served: this.#book.served(routed.key),
      admittedAt: monotonic(),
      endpoint: name,
      ticket: null,
      mirror: arm === "assigned" ? endpoint.mirrorOf(routed) : null,
      notedAs: null,
    });
    const probe = header(request, PROBE_HEADER);
    if (probe !== null) {
      const wanted = parseProbeHeader(probe, this.#probeToken);
      const arms = endpoint.compiled.arms;
      // Where the split has one arm, that is what callers get, whoever is probed for.
      const only = arms.length === 1 && wanted?.apart !== true ? endpoint.pick(null) : null;
      const routed = only ?? (wanted === null ? undefined : endpoint.get(wanted.revision));
      if (wanted !== null && routed !== undefined) return admitted(routed, "probe");
    }
    if (address.version !== null)
      return admitted(this.#ofVersion(endpoint, address.version), "targeted");
    const picked = endpoint.pick(header(request, "x-lastgood-key"));
    if (picked === null) {
      throw new LastgoodError("runtime.unavailable", `${name} serves no version yet`, {
        hint: "deploy one: lastgood deploy MODEL@VERSION",
      });
    }
    this.#book.notice(name, arrived.protocol.name);
    return admitted(picked, "assigned");
  }

  #ofVersion(endpoint: RoutedEndpoint, version: string): RoutedRevision {
    for (const { revision } of endpoint.compiled.ofVersion(version)) {
      const routed = endpoint.get(revision);
      if (routed !== undefined && this.#book.isReady(routed.key)) return routed;
    }
    const loaded = [...endpoint.revisions()].filter((each) => this.#book.isReady(each.key));
    throw new LastgoodError(
      "route.not-found",
      `version "${version}" is not loaded at ${endpoint.compiled.endpoint}; loaded: ${loaded.map((each) => each.label).join(", ") || "none"}`,
    );
  }

  #run(admitted: Admitted): void {
    const { arrived, routed, served, arm } = admitted;
    const { protocol, request, response, body } = arrived;
    const { limits } = routed.revision;
    if (served.inFlight >= limits.queue && arm !== "probe") {
      this.#shed(admitted, `more than ${limits.queue} requests are waiting for ${served.subject}`);
      return;
    }
    let call: Call;
    try {
      call = protocol.decode(
        {
          contentType: header(request, "content-type"),
          inferenceHeaderLength: header(request, "inference-header-content-length"),
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
        const key = header(request, "x-lastgood-key");
        admitted.ticket = routed.evidence.admit(admitted.admittedAt, key, call.inputs);
      }
    }
    served
      .infer({
        inputs: call.inputs,
        timeoutMs: routed.patience.timeoutMs,
        waitMs: routed.patience.waitMs,
        replays: routed.count("replay"),
        isWanted: () => !response.destroyed,
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
    const { outputs } = result;
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
    writeAnswer(
      arrived.response,
      arrived.protocol.encode(outputs, { endpoint, version: routed.label, call }),
      answeredBy(arrived.request, routed, requestId),
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
    if (!admitted.arrived.response.destroyed) {
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
    if (isOwn(error) && !arrived.response.destroyed) this.#book.failures.note(admitted.admittedAt);
    writeAnswer(arrived.response, arrived.protocol.encodeError(error), {
      ...answeredBy(arrived.request, routed, requestId),
      ...errorHeaders(error),
    });
  }

  /** An error before any revision was chosen. */
  #refuseOwn(arrived: Arrived, error: LastgoodError): void {
    if (isOwn(error) && !arrived.response.destroyed) this.#book.failures.note(monotonic());
    refuse(arrived, error);
  }
}

function refuse(
  { request, response, protocol }: Pick<Arrived, "request" | "response" | "protocol">,
  error: LastgoodError,
): void {
  writeAnswer(response, protocol.encodeError(error), {
    ...echoHeaders(request),
    ...errorHeaders(error),
  });
  // Closing at once would reset the connection under a caller who still sends, and take the answer
  // away: what is coming of an oversized body is thrown away for a while.
  if (error.code === "body.too-large") {
    request.resume();
    setTimeout(() => {
      if (!request.complete) request.destroy();
    }, DISCARD_MS).unref();
  }
}
