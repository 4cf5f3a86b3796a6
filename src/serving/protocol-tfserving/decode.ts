import type { Signature } from "../../core/version/index.ts";
import {
  columnInputs,
  described,
  instancesInputs,
  isJsonObject,
  member,
  parseJson,
  requestInvalid,
  utf8Text,
  wantsExactIntegers,
  type Call,
  type ProtocolRequest,
} from "../protocol/index.ts";
import { withoutBase64 } from "./base64.ts";

/** The only signature of a version, by the name that TensorFlow gives it. */
export const SIGNATURE_NAME = "serving_default";

const ACCEPTED = 'an object with "instances" (rows) or "inputs" (columns)';

type JsonObject = Readonly<Record<string, unknown>>;

function checkSignatureName(root: JsonObject): void {
  const name = member(root, "signature_name");
  if (name === undefined || name === "" || name === SIGNATURE_NAME) return;
  throw requestInvalid(`signature_name is ${described(name)}`, {
    where: "signature_name",
    accepted: `${SIGNATURE_NAME}, or nothing: a version has one signature`,
  });
}

function checkRows(value: unknown, contract: Signature): void {
  if (!Array.isArray(value) || value.length === 0) {
    const found = Array.isArray(value) ? "an empty array" : described(value);
    throw requestInvalid(`instances is ${found}`, {
      where: "instances",
      accepted: "an array of at least one row",
    });
  }
  const whole = contract.outputs.find(
    (output) => output.kind === "tensor" && output.shape.length === 0,
  );
  if (whole === undefined) return;
  throw requestInvalid(`the output ${whole.name} has no rows, so it cannot be answered in rows`, {
    where: "instances",
    accepted: 'the column form: "inputs"',
  });
}

function rootOf(body: Buffer, contract: Signature): JsonObject {
  const text = utf8Text(body);
  const reading = { exactIntegers: wantsExactIntegers(contract), pythonNumbers: true };
  const parsed = parseJson(text, reading);
  // Looked for in every value only where it can be there.
  const root = text.includes('"b64"') ? withoutBase64(parsed) : parsed;
  if (isJsonObject(root)) return root;
  throw requestInvalid(`the body is ${described(root)}`, { where: "body", accepted: ACCEPTED });
}

/**
 * Reads a `:predict` request in row form (`instances`) or column form (`inputs`), whatever its content
 * type says, as TensorFlow Serving does. NaN and Infinity are taken, `{"b64": …}` is text.
 * @throws `request.invalid`.
 */
export function decode({ body }: ProtocolRequest, contract: Signature): Call {
  const root = rootOf(body, contract);
  const rows = member(root, "instances");
  const columns = member(root, "inputs");
  if ((rows === undefined) === (columns === undefined)) {
    const found = rows === undefined ? "neither instances nor inputs" : "both instances and inputs";
    throw requestInvalid(`the body has ${found}`, { where: "body", accepted: ACCEPTED });
  }
  checkSignatureName(root);
  const reading = { contract, bodyBytes: body.length };
  const plain = { id: null, requestedOutputs: null };
  if (rows === undefined) {
    return { ...plain, inputs: columnInputs(columns, reading), form: { kind: "columns" } };
  }
  checkRows(rows, contract);
  return { ...plain, inputs: instancesInputs(rows, reading), form: { kind: "rows" } };
}
