import { isMapSequence, type OutputValue, type Tensor } from "../../core/tensor/index.ts";
import {
  GOLDEN_TOLERANCE,
  goldenDifference,
  sampleFromWire,
  versionLabel,
} from "../../core/version/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import {
  nestedText,
  outputBinary,
  type Call,
  type GrpcProtocol,
  type MessageProtocol,
  type ProtocolName,
  type ScoringProtocol,
} from "../protocol/index.ts";

/** A request that a revision must answer in a known way. */
export interface ProbeRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** What is wrong with an answer's body, or null: its numbers agree within the golden tolerance. */
  difference(body: Buffer): string | null;
}

type Body = Pick<ProbeRequest, "path" | "headers" | "body">;

function oipBody(endpoint: string, inputs: readonly Tensor[]): Body {
  const chunks = inputs.map(outputBinary);
  const head = Buffer.from(
    JSON.stringify({
      inputs: inputs.map(({ name, shape, dtype }, index) => ({
        name,
        shape,
        datatype: dtype,
        parameters: { binary_data_size: chunks[index]?.length ?? 0 },
      })),
    }),
  );
  return {
    path: `/v2/models/${encodeURIComponent(endpoint)}/infer`,
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(head.length),
    },
    body: Buffer.concat([head, ...chunks]),
  };
}

function mlflowBody(endpoint: string, inputs: readonly Tensor[]): Body {
  const members = inputs.map((tensor) => `${JSON.stringify(tensor.name)}:${nestedText(tensor)}`);
  return {
    path: `/endpoints/${encodeURIComponent(endpoint)}/invocations`,
    headers: { "content-type": "application/json" },
    body: Buffer.from(`{"inputs":{${members.join(",")}}}`),
  };
}

function tfservingBody(endpoint: string, inputs: readonly Tensor[]): Body {
  return {
    ...mlflowBody(endpoint, inputs),
    path: `/v1/models/${encodeURIComponent(endpoint)}:predict`,
  };
}

const BODIES: Readonly<Record<Exclude<ProtocolName, "oip-grpc">, typeof oipBody>> = {
  oip: oipBody,
  mlflow: mlflowBody,
  tfserving: tfservingBody,
};

/**
 * A golden sample of the revision as an HTTP request in the protocol, with the answer it must get; null
 * where it has no sample, or none that the contract takes.
 */
export function probeRequest(
  protocol: ScoringProtocol,
  endpoint: string,
  revision: RouteRevision,
): ProbeRequest | null {
  const { name } = protocol;
  if (name === "oip-grpc") return null;
  const prepared = prepare(protocol, revision, (inputs) => BODIES[name](endpoint, inputs));
  if (prepared === null) return null;
  const { asked, promised, call } = prepared;
  const version = versionLabel(revision.version);
  const expected = protocol
    .encode(promised, {
      endpoint,
      version,
      signature: revision.signature,
      call,
    })
    .body.toString();
  return { ...asked, difference: (body) => answerDifference(expected, body.toString()) };
}

/** The same over gRPC. */
export function grpcProbeRequest(
  protocol: GrpcProtocol,
  endpoint: string,
  revision: RouteRevision,
): ProbeRequest | null {
  const prepared = prepare(protocol, revision, (inputs) => ({
    path: protocol.inferPath,
    headers: {},
    body: protocol.inferMessage(endpoint, inputs),
  }));
  if (prepared === null) return null;
  const { asked, promised, call } = prepared;
  const version = versionLabel(revision.version);
  const { body: right } = protocol.encode(promised, {
    endpoint,
    version,
    signature: revision.signature,
    call,
  });
  const expected = protocol.readOutputs(Buffer.from(right));
  const difference = (body: Buffer): string | null =>
    goldenDifference(expected, protocol.readOutputs(body));
  return { ...asked, difference };
}

interface Prepared {
  readonly asked: Body;
  readonly promised: readonly OutputValue[];
  readonly call: Call;
}

function prepare(
  protocol: MessageProtocol,
  revision: RouteRevision,
  write: (inputs: readonly Tensor[]) => Body,
): Prepared | null {
  const wire = revision.golden[0];
  if (wire === undefined) return null;
  const { inputs, outputs } = sampleFromWire(wire);
  const asked = write(inputs);
  const call = callOf(protocol, asked, revision);
  if (call === null) return null;
  const promised = inOrder(outputs, revision).map((output) => typed(output, revision));
  return { asked, promised, call };
}

function callOf(protocol: MessageProtocol, asked: Body, { contract }: RouteRevision): Call | null {
  const { headers, body } = asked;
  const contentType = headers["content-type"] ?? null;
  const inferenceHeaderLength = headers["inference-header-content-length"] ?? null;
  try {
    return protocol.decode({ contentType, inferenceHeaderLength, body }, contract);
  } catch {
    return null;
  }
}

/** The outputs in the order in which the version gives them. */
function inOrder(
  outputs: readonly OutputValue[],
  { signature }: RouteRevision,
): readonly OutputValue[] {
  const place = (output: OutputValue): number =>
    signature.outputs.findIndex((spec) => spec.name === output.name);
  return outputs.toSorted((a, b) => place(a) - place(b));
}

/** A golden sample's maps do not say whether their values are of 32 bits; the signature does. */
function typed(output: OutputValue, { signature }: RouteRevision): OutputValue {
  const spec = signature.outputs.find((each) => each.name === output.name);
  return isMapSequence(output) && spec?.kind === "maps" && spec.valueDtype === "FP32"
    ? { ...output, values: Float32Array.from(output.values) }
    : output;
}

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * The first difference between two answers, or null when they agree: the text between numbers and
 * whole numbers exactly, other numbers within the golden tolerance.
 */
export function answerDifference(expected: string, actual: string): string | null {
  const wanted = expected.match(NUMBER) ?? [];
  const given = actual.match(NUMBER) ?? [];
  if (expected.replaceAll(NUMBER, "#") !== actual.replaceAll(NUMBER, "#"))
    return `the answer has another form: ${shortened(actual)}`;
  const off = wanted.findIndex((text, index) => !numbersAgree(text, given[index] ?? ""));
  return off === -1
    ? null
    : `${given[off] ?? "nothing"} was answered where ${wanted[off] ?? ""} was recorded`;
}

function numbersAgree(wanted: string, given: string): boolean {
  if (wanted === given) return true;
  const [a, b] = [Number(wanted), Number(given)];
  const whole = /^-?\d+$/;
  // Two whole numbers are classes or counts; a float that happens to be whole has a neighbour that is not.
  if (whole.test(wanted) && whole.test(given)) return a === b;
  const { absolute, relative } = GOLDEN_TOLERANCE;
  return Math.abs(a - b) <= absolute + relative * Math.max(Math.abs(a), Math.abs(b));
}

function shortened(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
