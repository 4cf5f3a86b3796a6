import { LastgoodError } from "../../core/errors/index.ts";
import type { Tensor } from "../../core/tensor/index.ts";
import type { Signature } from "../../core/version/index.ts";
import {
  columnInputs,
  described,
  instancesInputs,
  isJsonObject,
  member,
  parseContentType,
  parseJson,
  quoted,
  requestInvalid,
  utf8Text,
  wantsExactIntegers,
  type Call,
  type ProtocolRequest,
} from "../protocol/index.ts";
import { csvFrame } from "./csv-frame.ts";
import { frameInputs, type Frame } from "./frame.ts";
import { recordsFrame, splitFrame } from "./json-frame.ts";

const ACCEPTED_MEDIA = ["application/json", "text/csv"] as const;
const FORMATS = ["dataframe_split", "dataframe_records", "instances", "inputs"] as const;
type Format = (typeof FORMATS)[number];

function unsupported(message: string): LastgoodError {
  return new LastgoodError("content-type.unsupported", message, {
    hint: `send ${ACCEPTED_MEDIA.join(" or ")}, with no parameter but charset=utf-8`,
    details: { where: "content-type", accepted: ACCEPTED_MEDIA },
  });
}

function mediaOf(header: string | null): (typeof ACCEPTED_MEDIA)[number] {
  if (header === "application/json") return header;
  const type = parseContentType(header);
  if (type === null) throw unsupported("the request has no content type");
  const charset = type.parameters["charset"] ?? "utf-8";
  if (charset.toLowerCase() !== "utf-8") throw unsupported(`the charset is ${quoted(charset)}`);
  const other = Object.keys(type.parameters).find((name) => name !== "charset");
  if (other !== undefined) throw unsupported(`the content type has the parameter ${quoted(other)}`);
  const media = ACCEPTED_MEDIA.find((accepted) => accepted === type.media);
  if (media === undefined) throw unsupported(`the content type is ${quoted(type.media)}`);
  return media;
}

function formatOf(root: Readonly<Record<string, unknown>>): Format {
  const members = Object.keys(root);
  const found = FORMATS.filter((format) => members.includes(format));
  const [format] = found;
  if (format === undefined || found.length > 1) {
    const names = members.slice(0, 8).map(quoted).join(", ");
    throw requestInvalid(
      names === "" ? "the body has no members" : `the body has the members ${names}`,
      {
        where: "body",
        accepted: `exactly one of ${FORMATS.join(", ")}`,
      },
    );
  }
  if (Object.hasOwn(root, "signature_name")) {
    throw requestInvalid("signature_name is not served: a version has one signature", {
      where: "signature_name",
    });
  }
  // Parameters have no meaning to an ONNX graph; MLflow's ONNX flavor takes and ignores them too.
  const params = member(root, "params");
  if (params !== undefined && params !== null && !isJsonObject(params)) {
    throw requestInvalid(`params is ${described(params)}`, {
      where: "params",
      accepted: "an object",
    });
  }
  return format;
}

function call(inputs: readonly Tensor[], kind: "frame" | "tensors"): Call {
  return { inputs, id: null, requestedOutputs: null, form: { kind } };
}

/** A table is answered with records, but by a model that takes it as arrays. */
function frameCall(frame: Frame, contract: Signature, bodyBytes: number): Call {
  const isArray = contract.inputs.every(({ array }) => array === true);
  return call(frameInputs(frame, contract, bodyBytes), isArray ? "tensors" : "frame");
}

function decodeJson(text: string, bodyBytes: number, contract: Signature): Call {
  const reading = { exactIntegers: wantsExactIntegers(contract), pythonNumbers: true };
  const root = parseJson(text, reading);
  if (!isJsonObject(root)) {
    throw requestInvalid(`the body is ${described(root)}`, {
      where: "body",
      accepted: `an object with exactly one of ${FORMATS.join(", ")}`,
    });
  }
  const format = formatOf(root);
  const value = root[format];
  const namedColumns = "for named columns of one input send dataframe_records";
  const tensors = { contract, bodyBytes, namedColumns };
  switch (format) {
    case "dataframe_split":
      return frameCall(splitFrame(value), contract, bodyBytes);
    case "dataframe_records":
      return frameCall(recordsFrame(value, text, reading), contract, bodyBytes);
    case "instances":
      return call(instancesInputs(value, tensors), "tensors");
    case "inputs":
      return call(columnInputs(value, tensors), "tensors");
  }
}

/**
 * Reads a scoring request: JSON in its four forms, or CSV with a header line. Which columns and tensors
 * feed which input is MLflow's ONNX flavor's rule (`frameInputs`).
 * @throws `request.invalid`, `content-type.unsupported`.
 */
export function decode({ contentType, body }: ProtocolRequest, contract: Signature): Call {
  const media = mediaOf(contentType);
  const text = utf8Text(body);
  if (media === "application/json") return decodeJson(text, body.length, contract);
  return frameCall(csvFrame(text), contract, body.length);
}
