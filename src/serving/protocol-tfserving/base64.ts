import { isUtf8 } from "node:buffer";

import { described, isJsonObject, member, requestInvalid } from "../protocol/index.ts";

const KEY = "b64";
/** Deeper than any tensor has axes. */
const DEEPEST = 64;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function textOf(encoded: unknown): string {
  if (typeof encoded !== "string" || !BASE64.test(encoded) || encoded.length % 4 !== 0) {
    throw requestInvalid(`{"b64"} holds ${described(encoded)}`, {
      where: KEY,
      accepted: "base64 text",
    });
  }
  const bytes = Buffer.from(encoded, "base64");
  if (isUtf8(bytes)) return bytes.toString("utf8");
  throw requestInvalid('the bytes of {"b64"} are not UTF-8 text', {
    where: KEY,
    accepted: "BYTES that are UTF-8 text",
  });
}

function decoded(value: unknown, depth: number): unknown {
  if (depth > DEEPEST) {
    throw requestInvalid(`the tensors are nested deeper than ${DEEPEST} levels`, { where: "body" });
  }
  if (Array.isArray(value)) return value.map((each) => decoded(each, depth + 1));
  if (!isJsonObject(value)) return value;
  const names = Object.keys(value);
  if (names.length === 1 && names[0] === KEY) return textOf(member(value, KEY));
  return Object.fromEntries(names.map((name) => [name, decoded(value[name], depth + 1)]));
}

/**
 * JSON with every `{"b64": "…"}` replaced by the text it stands for.
 * @throws `request.invalid` for what is not base64, or not UTF-8 text.
 */
export function withoutBase64(value: unknown): unknown {
  return decoded(value, 0);
}

/** Text as `{"b64": "…"}`. */
export function base64Text(text: string): string {
  return `{"${KEY}":"${Buffer.from(text, "utf8").toString("base64")}"}`;
}
