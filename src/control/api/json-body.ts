import { LastgoodError } from "../../core/errors/index.ts";
import { bodyChunks, type BodyPace } from "./body-chunks.ts";

/** Bounds on a JSON body. */
export interface JsonLimits extends BodyPace {
  readonly bytes: number;
  /** Objects and arrays inside each other. */
  readonly depth: number;
}

/** The bounds of every JSON body of the API. */
export const JSON_LIMITS: JsonLimits = {
  bytes: 16 * 1024 * 1024,
  depth: 64,
  idleMs: 10_000,
  totalMs: 30_000,
};

function tooLarge(bytes: number): LastgoodError {
  return new LastgoodError("body.too-large", `the body is longer than ${bytes} bytes`, {
    hint: "files are uploaded to /api/v1/blobs; a JSON body names them by digest",
    details: { maxBytes: bytes },
  });
}

async function readBytes(request: Request, limits: JsonLimits): Promise<Buffer> {
  if (Number(request.headers.get("content-length") ?? 0) > limits.bytes)
    throw tooLarge(limits.bytes);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of bodyChunks(request.body, limits)) {
    bytes += chunk.byteLength;
    if (bytes > limits.bytes) throw tooLarge(limits.bytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function checkDepth(text: string, most: number): void {
  let depth = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const char = text.charCodeAt(index);
    if (quoted) {
      if (char === 0x5c) index++;
      else if (char === 0x22) quoted = false;
    } else if (char === 0x22) quoted = true;
    else if (char === 0x5b || char === 0x7b) {
      depth++;
      if (depth > most)
        throw new LastgoodError("input.invalid", `the body is nested deeper than ${most} levels`);
    } else if (char === 0x5d || char === 0x7d) depth--;
  }
}

/**
 * The text of a body.
 * @throws `body.too-large`; `input.invalid` for what is not UTF-8 or sent too slowly.
 */
export async function readText(request: Request, limits: JsonLimits): Promise<string> {
  const bytes = await readBytes(request, limits);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new LastgoodError("input.invalid", "the body is not UTF-8", { cause });
  }
}

/**
 * The value and the text of a JSON body.
 * @throws `body.too-large`; `input.invalid` for what is not UTF-8, not JSON, nested too deep or
 * sent too slowly.
 */
export async function readJson(
  request: Request,
  limits: JsonLimits = JSON_LIMITS,
): Promise<{ readonly text: string; readonly value: unknown }> {
  const text = await readText(request, limits);
  checkDepth(text, limits.depth);
  try {
    return { text, value: JSON.parse(text) as unknown };
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : "";
    throw new LastgoodError("input.invalid", `the body is not JSON: ${said}`, { cause });
  }
}
