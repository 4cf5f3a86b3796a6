import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type CallOptions } from "@grpc/grpc-js";

import {
  ModelInferRequestSchema,
  ModelInferResponseSchema,
  type ModelInferRequest,
  type ModelInferResponse,
} from "../../src/serving/protocol-oip-grpc/inference_pb.ts";

/** A unary answer as a caller saw it. */
export interface GrpcAnswered<T> {
  /** gRPC's status code; 0 is OK. */
  readonly code: number;
  /** The error's text; empty for an answer. */
  readonly details: string;
  readonly message: T | null;
  /** The metadata before the message and after it. */
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
}

/** What a call is made with besides its message. */
export interface GrpcCallOptions extends CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
}

const SERVICE = "/inference.GRPCInferenceService";

function record(metadata: Metadata | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata?.getMap() ?? {}).map(([name, value]) => [name, value.toString()]),
  );
}

/** A caller with a channel, and so TCP connections, of its own. */
export class GrpcCaller {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": -1,
    });
  }

  close(): void {
    this.#client.close();
  }

  /** Calls a method of the service, or one by its whole path. */
  call<I extends DescMessage, O extends DescMessage>(
    method: string,
    schemas: readonly [I, O],
    init: MessageInitShape<I>,
    { headers = {}, ...options }: GrpcCallOptions = {},
  ): Promise<GrpcAnswered<MessageShape<O>>> {
    const [input, output] = schemas;
    const path = method.startsWith("/") ? method : `${SERVICE}/${method}`;
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return new Promise((resolve) => {
      let first: Metadata | undefined;
      let last: Metadata | undefined;
      let failure = { code: 0, details: "" };
      let answered: MessageShape<O> | null = null;
      const outgoing = this.#client.makeUnaryRequest(
        path,
        (message: MessageInitShape<I>) => Buffer.from(toBinary(input, create(input, message))),
        (bytes: Buffer) => fromBinary(output, bytes),
        init,
        metadata,
        options,
        (error, message) => {
          if (error !== null) failure = error;
          answered = message ?? null;
        },
      );
      outgoing.on("metadata", (received) => (first = received));
      outgoing.on("status", (status) => {
        last = status.metadata;
        setImmediate(() =>
          resolve({
            code: failure.code,
            details: failure.details,
            message: answered,
            headers: record(first),
            trailers: record(last),
          }),
        );
      });
    });
  }

  /** Calls ModelInfer. */
  infer(
    request: MessageInitShape<typeof ModelInferRequestSchema>,
    options: GrpcCallOptions = {},
  ): Promise<GrpcAnswered<ModelInferResponse>> {
    const schemas = [ModelInferRequestSchema, ModelInferResponseSchema] as const;
    return this.call("ModelInfer", schemas, request, options);
  }
}

/** A request for one row of an FP32 input, raw or typed. */
export function floatsRequest(
  modelName: string,
  values: readonly number[],
  {
    name = "features",
    raw = true,
    id = "",
    outputs = [],
  }: {
    readonly name?: string;
    readonly raw?: boolean;
    readonly id?: string;
    readonly outputs?: readonly string[];
  } = {},
): ModelInferRequest {
  const input = { name, datatype: "FP32", shape: [1n, BigInt(values.length)] };
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  const asked = { modelName, id, outputs: outputs.map((output) => ({ name: output })) };
  return create(
    ModelInferRequestSchema,
    raw
      ? { ...asked, inputs: [input], rawInputContents: [bytes] }
      : { ...asked, inputs: [{ ...input, contents: { fp32Contents: [...values] } }] },
  );
}
