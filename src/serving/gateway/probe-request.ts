import { isMapSequence, type OutputValue, type Tensor } from "../../core/tensor/index.ts";
import { GOLDEN_TOLERANCE, sampleFromWire, versionLabel } from "../../core/version/index.ts";
import type { RouteRevision } from "../../link/route/index.ts";
import {
  nestedText,
  type Call,
  type ProtocolName,
  type ScoringProtocol,
} from "../protocol/index.ts";

/** An HTTP request that a revision must answer in a known way. */
export interface ProbeRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The body of the right answer, its numbers within the golden tolerance. */
  readonly expected: string;
}

/** Elements as the binary tensor extension of the Open Inference Protocol has them. */
function tensorBytes({ data }: Tensor): Buffer {
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat(
    data.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

type Body = Pick<ProbeRequest, "path" | "headers" | "body">;

function oipBody(endpoint: string, inputs: readonly Tensor[]): Body {
  const chunks = inputs.map(tensorBytes);
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

const BODIES: Readonly<Record<ProtocolName, typeof oipBody>> = {
  oip: oipBody,
  mlflow: mlflowBody,
  tfserving: tfservingBody,
};

/**
 * A golden sample of the revision as a request in the protocol, with the answer it must get; null
 * where it has no sample, or none that the contract takes.
 */
export function probeRequest(
  protocol: ScoringProtocol,
  endpoint: string,
  revision: RouteRevision,
): ProbeRequest | null {
  const wire = revision.golden[0];
  if (wire === undefined) return null;
  const { inputs, outputs } = sampleFromWire(wire);
  const asked = BODIES[protocol.name](endpoint, inputs);
  const call = callOf(protocol, asked, revision);
  if (call === null) return null;
  const version = versionLabel(revision.version);
  const promised = inOrder(outputs, revision).map((output) => typed(output, revision));
  const answer = protocol.encode(promised, { endpoint, version, call });
  return { ...asked, expected: answer.body.toString() };
}

function callOf(protocol: ScoringProtocol, asked: Body, { contract }: RouteRevision): Call | null {
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
