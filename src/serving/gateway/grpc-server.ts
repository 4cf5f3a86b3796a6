import type { Socket } from "node:net";

import {
  Server,
  ServerCredentials,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  type ServiceDefinition,
} from "@grpc/grpc-js";

import { LastgoodError } from "../../core/errors/index.ts";
import type { GrpcMethod, GrpcProtocol, InferAddress } from "../protocol/index.ts";
import { echoHeaders, errorHeaders } from "./answer.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import type { Exchange } from "./exchange.ts";
import { GrpcExchange } from "./grpc-exchange.ts";
import type { Inference } from "./inference.ts";
import { statusFacts } from "./status-facts.ts";

/** Longest message that is taken in before it is known for which endpoint it is, bytes. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** What a gRPC server needs of its worker. */
export interface GrpcServerParts {
  readonly protocol: GrpcProtocol;
  readonly inference: Inference;
  readonly book: EndpointBook;
  readonly build: string;
  /** Of connections on which nothing moves. @default after 60 s, for 20 s */
  readonly silence?: Silence;
}

/** A connection of which nothing comes for `afterMs` is asked for a sign of life, and ended without one `forMs` later. */
export interface Silence {
  readonly afterMs: number;
  readonly forMs: number;
}

const SILENCE: Silence = { afterMs: 60_000, forMs: 20_000 };

/** Messages stay bytes: the protocol's room reads them. */
function asItIs(bytes: Buffer): Buffer {
  return bytes;
}

/** One worker's gRPC server, on connections that somebody else has accepted. */
export class GrpcServer {
  readonly #parts: GrpcServerParts;
  readonly #server: Server;
  readonly #injector: ReturnType<Server["createConnectionInjector"]>;

  constructor(parts: GrpcServerParts) {
    this.#parts = parts;
    const { afterMs, forMs } = parts.silence ?? SILENCE;
    this.#server = new Server({
      // A caller that is gone without a word, or never said one, would hold its connection for ever.
      "grpc.keepalive_time_ms": afterMs,
      "grpc.keepalive_timeout_ms": forMs,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.max_send_message_length": -1,
      // Nobody here asks gRPC's own diagnosis, and it costs on every call.
      "grpc.enable_channelz": 0,
    });
    for (const method of parts.protocol.methods) this.#add(method);
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** Speaks gRPC on a connection. */
  take(socket: Socket): void {
    this.#injector.injectConnection(socket);
  }

  /** Tells callers to go elsewhere, finishes what is in flight, cuts what is left after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cut = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, timeoutMs);
      this.#server.tryShutdown(() => {
        clearTimeout(cut);
        resolve();
      });
    });
  }

  #add(method: GrpcMethod): void {
    const { path, isStreaming } = method;
    const definition: ServiceDefinition = {
      method: {
        path,
        requestStream: isStreaming,
        responseStream: isStreaming,
        requestSerialize: asItIs,
        requestDeserialize: asItIs,
        responseSerialize: asItIs,
        responseDeserialize: asItIs,
      },
    };
    const unary: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
      const exchange = new GrpcExchange(call, callback);
      try {
        this.#handle(method, exchange, call.request);
      } catch (error) {
        this.#refuse(exchange, LastgoodError.from(error));
      }
    };
    const streaming: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
      const { status, body } = this.#parts.protocol.encodeError(unsupported(method));
      call.emit("error", { code: status, details: body.toString() });
    };
    this.#server.addService(definition, { method: isStreaming ? streaming : unary });
  }

  #handle(method: GrpcMethod, exchange: Exchange, message: Buffer): void {
    const address = method.address(message);
    if (address.kind === "infer") this.#infer(exchange, address, message);
    else if (address.kind === "unsupported") this.#refuse(exchange, unsupported(method));
    else {
      const facts = statusFacts(this.#parts.book, this.#parts.build, address);
      exchange.write(method.status(address, facts), echoHeaders(exchange));
    }
  }

  #infer(exchange: Exchange, address: InferAddress, message: Buffer): void {
    const { inference, protocol } = this.#parts;
    const limit = inference.bodyLimit(address);
    if (message.length > limit) {
      throw new LastgoodError("body.too-large", `the message is longer than ${limit} bytes`, {
        hint: "send fewer rows per request",
        details: { limit },
      });
    }
    inference.answer({ exchange, protocol, address, body: message });
  }

  #refuse(exchange: Exchange, error: LastgoodError): void {
    const headers = { ...echoHeaders(exchange), ...errorHeaders(error) };
    exchange.write(this.#parts.protocol.encodeError(error), headers);
  }
}

function unsupported(method: GrpcMethod): LastgoodError {
  const address = method.address(Buffer.alloc(0));
  const { why, hint } =
    address.kind === "unsupported" ? address : { why: `${method.path} is not served`, hint: "" };
  return new LastgoodError("protocol.unsupported", why, { hint });
}
