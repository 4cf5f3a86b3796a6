import type { LastgoodError } from "../../core/errors/index.ts";
import type { OutputValue, Tensor } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import type {
  Address,
  InferAddress,
  PathResource,
  ProtocolName,
  StatusAddress,
} from "./address.ts";

/** An inference request as a gateway hands it over: headers it needs, the whole body, uncompressed. */
export interface ProtocolRequest {
  /** The `content-type` header; null where there is none. */
  readonly contentType: string | null;
  /** The `inference-header-content-length` header (OIP binary tensors); null where there is none. */
  readonly inferenceHeaderLength: string | null;
  readonly body: Buffer;
}

/** One output a caller asked for, and whether as binary. */
export interface RequestedOutput {
  readonly name: string;
  readonly binary: boolean;
}

/** What the answer has to look like; decided by the request. */
export type AnswerForm =
  /** OIP: the named outputs in this order, or all of them, each `binary` or not. */
  | {
      readonly kind: "oip";
      readonly outputs: readonly RequestedOutput[] | null;
      readonly binary: boolean;
    }
  /** OIP over gRPC: the named outputs in this order, or all of them, as raw bytes or typed. */
  | {
      readonly kind: "grpc";
      readonly outputs: readonly string[] | null;
      readonly raw: boolean;
    }
  /** MLflow, asked with a frame: a list of records. */
  | { readonly kind: "frame" }
  /** MLflow, asked with tensors: one nested array for each output name. */
  | { readonly kind: "tensors" }
  /** TensorFlow Serving, asked by row or by column: answered the same way. */
  | { readonly kind: "rows" | "columns" };

/** A request that keeps the contract. */
export interface Call {
  /** One for each input of the contract, in its order. */
  readonly inputs: readonly Tensor[];
  /** The caller's own id, to be echoed. */
  readonly id: string | null;
  /** Names of the outputs asked for, in that order; null: all. */
  readonly requestedOutputs: readonly string[] | null;
  readonly form: AnswerForm;
}

/** A whole answer. JSON is text, which `node:http` writes much faster than a Buffer. */
export interface ProtocolAnswer {
  /** Of HTTP; over gRPC its status code, 0 for a message, else an error whose text is the body. */
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** Who answers, as the answer names it. */
export interface AnswerContext {
  readonly endpoint: string;
  /** Label of the version that answered: `v1.1`. */
  readonly version: string;
  /** What that version gives. */
  readonly signature: Signature;
  readonly call: Call;
  /** The answer as the version's own MLflow server wrote it; left out where there is none. */
  readonly scoring?: string | undefined;
}

/** A version that an endpoint's route keeps. */
export interface VersionFacts {
  readonly label: string;
  readonly sequence: number;
  readonly ready: boolean;
}

/** What a gateway knows about one served endpoint. */
export interface ModelFacts {
  readonly endpoint: string;
  /** Labels of the versions that can be addressed. */
  readonly versions: readonly string[];
  /** Every version that the route keeps, by sequence number. */
  readonly loaded: readonly VersionFacts[];
  /** The version that the address names, else one that the split gives traffic; null: there is none. */
  readonly shown: VersionFacts | null;
  /** What runs it: `onnx`. */
  readonly platform: string;
  readonly ready: boolean;
  readonly contract: Signature;
}

/** What a gateway knows about itself, for the protocols' health and metadata questions. */
export interface StatusFacts {
  /** Every endpoint's current revision is loaded and routed. */
  readonly ready: boolean;
  /** Version of lastgood. */
  readonly build: string;
  readonly endpoints: readonly string[];
  /** The endpoint that a `model` or `model-ready` address names; null for other addresses. */
  readonly model: ModelFacts | null;
}

/** How a protocol writes down inference requests, answers and errors, without sockets. */
export interface MessageProtocol {
  readonly name: ProtocolName;
  /**
   * Reads a request and judges it against the contract.
   * @throws `request.invalid`, `content-type.unsupported`; never anything else.
   */
  decode(request: ProtocolRequest, contract: Signature): Call;
  /** Writes the answer; the outputs keep the signature (see `outputViolation`). */
  encode(outputs: readonly OutputValue[], context: AnswerContext): ProtocolAnswer;
  /** Writes an error in the protocol's own form. */
  encodeError(error: LastgoodError): ProtocolAnswer;
}

/** One wire protocol over HTTP: the same five things in every such `protocol-*` room. */
export interface ScoringProtocol extends MessageProtocol {
  /** What the path names, or null where this protocol has no such path. */
  address(segments: readonly string[]): PathResource | null;
  /** Answers a health or metadata question. */
  status(address: StatusAddress, facts: StatusFacts): ProtocolAnswer;
}

/** A method of a gRPC protocol. Messages are bytes. */
export interface GrpcMethod {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Whether requests and answers are streams. */
  readonly isStreaming: boolean;
  /**
   * What the message asks for.
   * @throws `request.invalid` for bytes that are no such message.
   */
  address(message: Buffer): GrpcAddress;
  /** Answers a health or metadata question that `address` gave. */
  status(address: StatusAddress, facts: StatusFacts): ProtocolAnswer;
}

/** What a call of a gRPC method names. */
export type GrpcAddress =
  | InferAddress
  | StatusAddress
  | Extract<Address, { readonly kind: "unsupported" }>;

/** A wire protocol over gRPC. */
export interface GrpcProtocol extends MessageProtocol {
  readonly methods: readonly GrpcMethod[];
  /** The path of the method that infers, and the request of some inputs, for the gateway's probes. */
  readonly inferPath: string;
  inferMessage(endpoint: string, inputs: readonly Tensor[]): Buffer;
  /** The outputs of an answer's message. @throws `request.invalid` where it is none. */
  readOutputs(message: Buffer): readonly Tensor[];
}
