import type { RedactedInputs, RedactedTensor } from "../../core/redaction/index.ts";
import { bytes, grouped } from "./phrase.ts";

/** Inputs of one request on screen; `--json` has all. */
const MOST_LINES = 12;

const COUNTED = [
  ["nan", "NaN"],
  ["infinite", "infinite"],
  ["zero", "zero"],
  ["negative", "negative"],
  ["yes", "set"],
  ["empty", "empty"],
] as const;

/** From one power of ten to another. */
function span(what: string, from: number | undefined, to: number | undefined): string[] {
  if (from === undefined || to === undefined) return [];
  return [from === to ? `${what} about ${from}` : `${what} about ${from} to ${to}`];
}

function tensorText(tensor: RedactedTensor): string {
  const { name, dtype, shape, least, most, shortest, longest, characters, looked } = tensor;
  const facts = [
    ...COUNTED.flatMap(([key, word]) => {
      const times = tensor[key];
      return times === undefined ? [] : [`${grouped(times)} ${word}`];
    }),
    ...span("values", least, most),
    ...span("lengths", shortest, longest),
    ...(characters === undefined ? [] : [`of ${characters.join(", ")}`]),
    ...(looked === undefined ? [] : [`by the first ${grouped(looked)}`]),
  ];
  return `${name} ${dtype}[${shape.join(",")}]${facts.length === 0 ? "" : `: ${facts.join("; ")}`}`;
}

/** What is left of the inputs of a request, a line for each. */
export function inputLines(inputs: RedactedInputs): string[] {
  if (inputs.kind === "unread") {
    const { method, contentType, bytes: size } = inputs;
    return [
      `${method}, ${contentType ?? "no content type"}, ${size === null ? "passed on as it came" : `about ${bytes(size)}`}`,
    ];
  }
  const { tensors, leftOut } = inputs;
  const shown = tensors.slice(0, MOST_LINES).map(tensorText);
  const more = tensors.length - shown.length + leftOut;
  return more === 0 ? shown : [...shown, `${more} more`];
}
