import { ELEMENT_BYTES, type Tensor } from "../../core/tensor/index.ts";
import type { Signature, TensorSpec } from "../../core/version/index.ts";
import {
  acceptedCount,
  quoted,
  requestInvalid,
  shapeText,
  type Call,
  readBinary,
} from "../protocol/index.ts";

/** The shape that so many elements have: the last open axis takes them, an open one before it is 1. */
function rawShape(spec: TensorSpec, elements: number): readonly number[] {
  const where = `input ${quoted(spec.name)}`;
  const open = spec.shape.filter((axis) => axis === -1).length;
  if (open > 2 || (open === 2 && spec.shape[0] !== -1)) {
    throw requestInvalid(`${where}: a raw body does not tell the shape ${shapeText(spec.shape)}`, {
      where,
      accepted: "JSON before the binary data, with the shape of each input",
    });
  }
  const fixed = spec.shape.reduce((product, axis) => (axis === -1 ? product : product * axis), 1);
  const inferred = elements / fixed;
  const last = spec.shape.lastIndexOf(-1);
  if (!Number.isSafeInteger(inferred) || (open === 0 && inferred !== 1)) {
    throw requestInvalid(`${where}: ${elements} elements do not fill the shape`, {
      where,
      accepted: shapeText(spec.shape),
    });
  }
  return spec.shape.map((axis, index) => {
    if (axis !== -1) return axis;
    return index === last ? inferred : 1;
  });
}

function rawTensor(body: Buffer, spec: TensorSpec): Tensor {
  const { name, dtype } = spec;
  const where = `input ${quoted(name)}`;
  // As Triton has it: the whole body is one string.
  if (dtype === "BYTES") {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length);
    const shape = rawShape(spec, 1);
    acceptedCount(spec, shape, 1);
    return {
      name,
      dtype,
      shape,
      data: readBinary({ dtype, count: 1, where }, Buffer.concat([head, body])),
    };
  }
  const shape = rawShape(spec, body.length / ELEMENT_BYTES[dtype]);
  const count = acceptedCount(spec, shape, body.length);
  return { name, dtype, shape, data: readBinary({ dtype, count, where }, body) };
}

/**
 * The call of a body without any JSON (Inference-Header-Content-Length 0): the bytes of the only
 * input. Its answer is binary too.
 * @throws `request.invalid` where the contract has several inputs or the bytes tell no shape.
 */
export function rawCall(body: Buffer, contract: Signature): Call {
  const [spec] = contract.inputs;
  if (spec === undefined || contract.inputs.length > 1) {
    throw requestInvalid(
      `a body without JSON is for one input, there are ${contract.inputs.length}`,
      {
        where: "Inference-Header-Content-Length",
        accepted: contract.inputs.map((input) => input.name).join(", "),
      },
    );
  }
  return {
    inputs: [rawTensor(body, spec)],
    id: null,
    requestedOutputs: null,
    form: { kind: "oip", outputs: null, binary: true },
  };
}
