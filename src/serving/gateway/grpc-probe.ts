import { Client, credentials, Metadata } from "@grpc/grpc-js";

/** What a unary call came to. */
export interface GrpcAnswer {
  /** 0: the message is the answer; else a status code, and the message its text. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly message: Buffer;
}

/** A unary call over a TCP connection of its own. */
export interface GrpcCall {
  /** `host:port`. */
  readonly address: string;
  readonly path: string;
  readonly message: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

function textHeaders(metadata: Metadata | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata?.getMap() ?? {}).map(([name, value]) => [name, value.toString()]),
  );
}

function asItIs(bytes: Buffer): Buffer {
  return bytes;
}

/** Makes the call; an error of gRPC's is an answer too. */
export function callGrpc(call: GrpcCall): Promise<GrpcAnswer> {
  const client = new Client(call.address, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    "grpc.max_receive_message_length": -1,
  });
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(call.headers)) metadata.set(name, value);
  return new Promise((resolve) => {
    let received: Metadata | undefined;
    const outgoing = client.makeUnaryRequest(
      call.path,
      asItIs,
      asItIs,
      call.message,
      metadata,
      { deadline: Date.now() + call.timeoutMs },
      (error, message) => {
        client.close();
        resolve({
          status: error === null ? 0 : error.code,
          headers: textHeaders(error?.metadata ?? received),
          message: message ?? Buffer.from(error?.details ?? ""),
        });
      },
    );
    outgoing.on("metadata", (headers) => {
      received = headers;
    });
  });
}
