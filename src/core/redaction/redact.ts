import type { Tensor } from "../tensor/index.ts";
import { halfToNumber } from "../version/index.ts";
import { CHARACTERS, type RedactedInputs, type RedactedTensor } from "./redacted.ts";

/** Elements, texts among them and characters of these that are looked at in a request: it takes a moment. */
const MOST = { elements: 50_000, texts: 5_000, characters: 50_000 } as const;
const MOST_TENSORS = 64;
const MOST_AXES = 8;
const NAME_CHARACTERS = 100;
/** Length of the JSON of what is kept of one request. */
const LONGEST_JSON = 2_048;

/** What may still be looked at. */
type Budget = { -readonly [K in keyof typeof MOST]: number };

/** Sign and power of ten of a number; 0 for 0. */
function magnitude(value: number): number {
  if (value === 0) return 0;
  const power = Number(`1e${value.toExponential().split("e")[1] ?? "0"}`);
  return value < 0 && power !== 0 ? -power : power;
}

/** A size or count to one significant digit, rounded down. */
function oneDigit(size: number): number {
  const power = magnitude(size);
  return power === 0 ? 0 : Math.floor(size / power) * power;
}

/** How many of all, as it may be told; nothing where none is. */
function some<K extends string>(
  key: K,
  times: number,
  all: number,
): { readonly [P in K]?: number } {
  if (times === 0) return {};
  return { [key]: times === all ? all : oneDigit(times) } as { readonly [P in K]?: number };
}

function numbersOf({ dtype, data }: Tensor, looked: number): Partial<RedactedTensor> {
  let [nan, infinite, zero, negative] = [0, 0, 0, 0];
  let [least, most] = [Infinity, -Infinity];
  for (let at = 0; at < looked; at += 1) {
    const raw = Number(data[at]);
    const value = dtype === "FP16" ? halfToNumber(raw) : raw;
    if (Number.isNaN(value)) nan += 1;
    else if (Number.isFinite(value)) {
      if (value === 0) zero += 1;
      if (value < least) least = value;
      if (value > most) most = value;
    } else infinite += 1;
    if (value < 0) negative += 1;
  }
  return {
    ...some("nan", nan, looked),
    ...some("infinite", infinite, looked),
    ...some("zero", zero, looked),
    ...some("negative", negative, looked),
    ...(least <= most ? { least: magnitude(least), most: magnitude(most) } : {}),
  };
}

function flagsOf({ data }: Tensor, looked: number): Partial<RedactedTensor> {
  let yes = 0;
  for (let at = 0; at < looked; at += 1) if (Number(data[at]) !== 0) yes += 1;
  return some("yes", yes, looked);
}

type Characters = (typeof CHARACTERS)[number];

const CLASSES: readonly (readonly [RegExp, Characters])[] = [
  [/[A-Za-z]/, "letters"],
  [/[0-9]/, "digits"],
  [/ /, "spaces"],
  [/[!-/:-@[-`{-~]/, "signs"],
  [/\p{Cc}/u, "control"],
  [/[^\p{ASCII}\p{Cs}\p{Cc}]/u, "beyond ASCII"],
];

function textsOf({ data }: Tensor, looked: number, budget: Budget): Partial<RedactedTensor> {
  let empty = 0;
  let [shortest, longest] = [Infinity, 0];
  const found = new Set<Characters>();
  for (let at = 0; at < looked; at += 1) {
    const text = String(data[at]);
    if (text === "") empty += 1;
    shortest = Math.min(shortest, text.length);
    longest = Math.max(longest, text.length);
    const part = text.slice(0, budget.characters);
    budget.characters -= part.length;
    for (const [pattern, name] of CLASSES)
      if (!found.has(name) && pattern.test(part)) found.add(name);
    // What the cut alone has halved is whole.
    if (part.length === text.length && !part.isWellFormed()) found.add("half characters");
  }
  return {
    ...some("empty", empty, looked),
    ...(looked === 0 ? {} : { shortest: magnitude(shortest), longest: magnitude(longest) }),
    ...(found.size === 0 ? {} : { characters: CHARACTERS.filter((name) => found.has(name)) }),
  };
}

function redactedTensor(tensor: Tensor, budget: Budget): RedactedTensor {
  const { name, dtype, shape, data } = tensor;
  const room = dtype === "BYTES" ? "texts" : "elements";
  const looked = Math.min(data.length, budget[room]);
  budget[room] -= looked;
  const found =
    dtype === "BYTES"
      ? textsOf(tensor, looked, budget)
      : dtype === "BOOL"
        ? flagsOf(tensor, looked)
        : numbersOf(tensor, looked);
  return {
    name: name.slice(0, NAME_CHARACTERS),
    dtype,
    shape: shape.slice(0, MOST_AXES),
    ...(looked < data.length ? some("looked", looked, data.length) : {}),
    ...found,
  };
}

/** What a version may not have reckoned with: where not all has room, it comes first. */
function isOdd({ nan, infinite, empty, characters }: RedactedTensor): boolean {
  const isOddText = characters?.some((name) => name === "control" || name === "half characters");
  return nan !== undefined || infinite !== undefined || empty !== undefined || isOddText === true;
}

/** What may be kept of the inputs of a request, of bounded length. */
export function redactedTensors(inputs: readonly Tensor[]): RedactedInputs {
  const budget = { ...MOST };
  const all = inputs.slice(0, MOST_TENSORS).map((tensor) => redactedTensor(tensor, budget));
  let left = LONGEST_JSON - JSON.stringify({ kind: "tensors", tensors: [], leftOut: 999 }).length;
  const kept = new Set<RedactedTensor>();
  for (const tensor of [...all.filter(isOdd), ...all]) {
    const length = JSON.stringify(tensor).length + 1;
    if (kept.has(tensor) || length > left) continue;
    left -= length;
    kept.add(tensor);
  }
  return {
    kind: "tensors",
    tensors: all.filter((tensor) => kept.has(tensor)),
    leftOut: inputs.length - kept.size,
  };
}

/** A request that was passed on unread, as far as it may be looked at: no path, and no other header. */
export interface UnreadRequest {
  readonly method: string;
  readonly contentType: string | null;
  /** Null: not known. */
  readonly bytes: number | null;
}

const METHODS = new Set("GET HEAD POST PUT PATCH DELETE OPTIONS".split(" "));
/** A header may say anything: only what many say is no caller's own. */
const MEDIA_TYPES = new Set(
  [
    [
      "application",
      "json x-ndjson xml pdf zip gzip octet-stream x-www-form-urlencoded cbor msgpack",
    ],
    [
      "application",
      "x-msgpack protobuf x-protobuf grpc vnd.apache.arrow.stream vnd.apache.parquet",
    ],
    ["text", "plain csv html xml event-stream"],
    ["image", "png jpeg gif webp bmp tiff svg+xml"],
    ["audio", "wav x-wav mpeg ogg flac"],
    ["video", "mp4 mpeg webm"],
    ["multipart", "form-data mixed"],
  ].flatMap(([type, names]) => (names ?? "").split(" ").map((name) => `${type}/${name}`)),
);

/** What may be kept of a request that was passed on unread. */
export function redactedUnread({ method, contentType, bytes }: UnreadRequest): RedactedInputs {
  const media = contentType?.split(";")[0]?.trim().toLowerCase() ?? null;
  return {
    kind: "unread",
    method: METHODS.has(method) ? method : "other",
    contentType: media === null || MEDIA_TYPES.has(media) ? media : "other",
    bytes: bytes === null ? null : oneDigit(bytes),
  };
}
