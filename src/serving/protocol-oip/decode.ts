import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import type { Signature, TensorSpec } from "../../core/version/index.ts";
import {
  acceptedCount,
  described,
  inputText,
  isJsonObject,
  member,
  newElements,
  optionalMember,
  parseContentType,
  parseJson,
  quoted,
  requestInvalid,
  utf8Text,
  wantsExactIntegers,
  writeNested,
  writeRow,
  type Call,
  type ProtocolRequest,
  readBinary,
} from "../protocol/index.ts";
import { rawCall } from "./raw.ts";
import { readRequestedOutputs } from "./requested-outputs.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Media types of an inference request. The binary form is told by its length header, not by these
 * (tritonclient sends no type at all), and `curl -d` calls JSON a form.
 */
const ACCEPTED_MEDIA = [
  "application/json",
  "application/octet-stream",
  "application/x-www-form-urlencoded",
];

function checkContentType(header: string | null): void {
  const type = parseContentType(header);
  if (type === null || ACCEPTED_MEDIA.includes(type.media)) return;
  throw new LastgoodError("content-type.unsupported", `the content type is ${quoted(type.media)}`, {
    hint: `send ${ACCEPTED_MEDIA.slice(0, 2).join(" or ")}`,
    details: { where: "content-type", accepted: ACCEPTED_MEDIA },
  });
}

/** Bytes of JSON at the start of the body; the rest is binary tensors. */
function jsonLength({ inferenceHeaderLength, body }: ProtocolRequest): number {
  if (inferenceHeaderLength === null) return body.length;
  const length = /^\d{1,15}$/.test(inferenceHeaderLength) ? Number(inferenceHeaderLength) : -1;
  if (length >= 0 && length <= body.length) return length;
  throw requestInvalid(
    `Inference-Header-Content-Length is ${quoted(inferenceHeaderLength)} for a body of ${body.length} bytes`,
    { where: "Inference-Header-Content-Length", accepted: `a number from 0 to ${body.length}` },
  );
}

/** The binary part of a body, given out in the order of the inputs. */
class BinaryPart {
  readonly #bytes: Buffer;
  #at = 0;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number, where: string): Buffer {
    if (length > this.left) {
      throw requestInvalid(
        `${where} says ${length} bytes of binary data, ${this.left} are left in the body`,
        { where },
      );
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

interface Reading {
  readonly contract: Signature;
  readonly binary: BinaryPart;
  readonly bodyBytes: number;
}

function specOf(contract: Signature, name: unknown, index: number): TensorSpec {
  if (typeof name !== "string") {
    const where = `inputs[${index}].name`;
    throw requestInvalid(`${where} is ${described(name)}`, { where, accepted: "a string" });
  }
  const inPlace = contract.inputs[index];
  if (inPlace?.name === name) return inPlace;
  const spec = contract.inputs.find((input) => input.name === name);
  if (spec !== undefined) return spec;
  throw requestInvalid(`there is no input ${quoted(name)}`, {
    where: `inputs[${index}].name`,
    accepted: contract.inputs.map((input) => input.name).join(", "),
  });
}

function isShape(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((axis) => Number.isSafeInteger(axis) && axis >= 0);
}

function readShape(value: unknown, input: string): readonly number[] {
  if (isShape(value)) return value;
  const where = inputText(input);
  throw requestInvalid(
    `${where}: shape is ${Array.isArray(value) ? "not a list of lengths" : described(value)}`,
    {
      where,
      accepted: "an array of whole numbers, 0 and up",
    },
  );
}

/** Bytes of binary data an input announces; null: its data is JSON. */
function binarySize(input: JsonObject, name: string): number | null {
  const parameters = optionalMember(input, "parameters");
  if (parameters === undefined) return null;
  const where = inputText(name);
  if (!isJsonObject(parameters)) {
    throw requestInvalid(`${where}: parameters is ${described(parameters)}`, {
      where,
      accepted: "an object",
    });
  }
  if (member(parameters, "shared_memory_region") !== undefined) {
    throw requestInvalid(`${where} is in shared memory, which is not served here`, {
      where,
      accepted: "JSON data, or binary data in the body",
    });
  }
  const size = member(parameters, "binary_data_size");
  if (size === undefined) return null;
  if (typeof size === "number" && Number.isSafeInteger(size) && size >= 0) return size;
  throw requestInvalid(`${where}: binary_data_size is ${described(size)}`, {
    where,
    accepted: "a number of bytes",
  });
}

function readJsonData(
  spec: TensorSpec,
  shape: readonly number[],
  count: number,
  data: unknown,
): Tensor {
  const { name, dtype } = spec;
  const where = (): string => `${inputText(name)} data`;
  if (!Array.isArray(data)) {
    throw requestInvalid(`${where()} is ${described(data)}`, {
      where: where(),
      accepted: "an array, flat or nested as deep as the shape",
    });
  }
  const out = newElements(dtype, count);
  if (Array.isArray(data[0])) writeNested({ dtype, out, shape, missing: "refuse", where }, data);
  else {
    if (data.length !== count) {
      throw requestInvalid(`${where()} has ${data.length} elements`, {
        where: where(),
        accepted: `${count}, the product of its shape [${shape.join(", ")}]`,
      });
    }
    writeRow({ dtype, out, shape: [count], missing: "refuse", where }, 0, data);
  }
  return { name, dtype, shape, data: out };
}

function readInput(input: JsonObject, spec: TensorSpec, reading: Reading): Tensor {
  const datatype = member(input, "datatype");
  if (datatype !== spec.dtype) {
    const where = inputText(spec.name);
    throw requestInvalid(`${where}: datatype is ${described(datatype)}`, {
      where,
      accepted: spec.dtype,
    });
  }
  const shape = readShape(member(input, "shape"), spec.name);
  const count = acceptedCount(spec, shape, reading.bodyBytes);
  const size = binarySize(input, spec.name);
  const data = optionalMember(input, "data");
  if (size === null) return readJsonData(spec, shape, count, data);
  const where = inputText(spec.name);
  if (data !== undefined) {
    throw requestInvalid(`${where} has both data and binary_data_size`, {
      where,
      accepted: "one of the two",
    });
  }
  const bytes = reading.binary.take(size, where);
  return {
    name: spec.name,
    dtype: spec.dtype,
    shape,
    data: readBinary({ dtype: spec.dtype, count, where }, bytes),
  };
}

function readInputs(value: unknown, reading: Reading): readonly Tensor[] {
  const { contract, binary } = reading;
  if (!Array.isArray(value)) {
    throw requestInvalid(`inputs is ${described(value)}`, {
      where: "inputs",
      accepted: "an array of tensors",
    });
  }
  const read = new Map<string, Tensor>();
  for (let index = 0; index < value.length; index += 1) {
    const input: unknown = value[index];
    if (!isJsonObject(input)) {
      const where = `inputs[${index}]`;
      throw requestInvalid(`${where} is ${described(input)}`, { where, accepted: "an object" });
    }
    const spec = specOf(contract, member(input, "name"), index);
    if (read.has(spec.name)) {
      throw requestInvalid(`input ${quoted(spec.name)} is given twice`, {
        where: `inputs[${index}]`,
      });
    }
    read.set(spec.name, readInput(input, spec, reading));
  }
  if (binary.left > 0) {
    throw requestInvalid(`${binary.left} bytes of the body belong to no input`, {
      where: "body",
      accepted: "as many bytes as the inputs' binary_data_size say",
    });
  }
  return contract.inputs.map((spec) => {
    const tensor = read.get(spec.name);
    if (tensor !== undefined) return tensor;
    throw requestInvalid(`input ${quoted(spec.name)} is missing`, {
      where: "inputs",
      accepted: contract.inputs.map((input) => input.name).join(", "),
    });
  });
}

function readId(value: unknown): string | null {
  if (value === undefined) return null;
  if (typeof value === "string") return value;
  throw requestInvalid(`id is ${described(value)}`, { where: "id", accepted: "a string" });
}

/**
 * Reads an inference request: JSON tensors, flat or nested, and binary tensors. Data types, ranks,
 * fixed axes and counts have to be the contract's exactly; parameters that are not known are ignored,
 * as the protocol wants it.
 * @throws `request.invalid`, `content-type.unsupported`.
 */
export function decode(request: ProtocolRequest, contract: Signature): Call {
  checkContentType(request.contentType);
  const { body, inferenceHeaderLength } = request;
  const length = jsonLength(request);
  if (length === 0 && inferenceHeaderLength !== null) return rawCall(body, contract);
  const text = utf8Text(length === body.length ? body : body.subarray(0, length));
  const root = parseJson(text, {
    exactIntegers: wantsExactIntegers(contract),
    pythonNumbers: false,
  });
  if (!isJsonObject(root)) {
    throw requestInvalid(`the body is ${described(root)}`, {
      where: "body",
      accepted: "an object",
    });
  }
  const id = readId(optionalMember(root, "id"));
  const { outputs, binary } = readRequestedOutputs(root, contract);
  const binaryPart = new BinaryPart(body.subarray(length));
  const inputs = readInputs(member(root, "inputs"), {
    contract,
    binary: binaryPart,
    bodyBytes: body.length,
  });
  return {
    inputs,
    id,
    requestedOutputs: outputs?.map((output) => output.name) ?? null,
    form: { kind: "oip", outputs, binary },
  };
}
