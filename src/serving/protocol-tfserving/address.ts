import type { PathResource } from "../protocol/index.ts";

const protocol = "tfserving" as const;

/** What is asked of a model: after the colon of the last segment, or the segment that follows. */
interface Asked {
  readonly endpoint: string;
  readonly version: string | null;
  readonly verb: string | null;
}

/** `name:predict` in parts. Neither endpoints nor versions have a colon in their names. */
function split(segment: string): readonly [string, string | null] {
  const colon = segment.indexOf(":");
  return colon === -1 ? [segment, null] : [segment.slice(0, colon), segment.slice(colon + 1)];
}

/** Verbs of this API and of KServe's V1 protocol, which shares its paths, and why they are refused. */
const REFUSED: Readonly<Record<string, string>> = {
  ":classify": "it takes tf.Example records, which no version here is made for",
  ":regress": "it takes tf.Example records, which no version here is made for",
  ":explain": "no version here has an explainer",
};

function refused(verb: string): PathResource | null {
  const reason = Object.hasOwn(REFUSED, verb) ? REFUSED[verb] : undefined;
  if (reason === undefined) return null;
  const hint = "send the features to :predict";
  return {
    method: "POST",
    address: { kind: "unsupported", protocol, why: `${verb} is not served: ${reason}`, hint },
  };
}

function resource({ endpoint, version, verb }: Asked): PathResource | null {
  const at = { protocol, endpoint, version } as const;
  switch (verb) {
    case null:
      return { method: "GET", address: { kind: "model-ready", ...at } };
    case "metadata":
      return { method: "GET", address: { kind: "model", ...at } };
    case ":predict":
      return { method: "POST", address: { kind: "infer", ...at } };
    default:
      return refused(verb);
  }
}

function asked(segments: readonly string[], version: string | null): Asked | null {
  const [last = "", metadata, more] = segments;
  const [name, verb] = split(last);
  if (name === "" || more !== undefined) return null;
  if (metadata === undefined) {
    return { endpoint: name, version, verb: verb === null ? null : `:${verb}` };
  }
  return verb === null && metadata === "metadata"
    ? { endpoint: name, version, verb: metadata }
    : null;
}

/**
 * What a path of TensorFlow Serving's REST API names:
 * `/v1/models/M[/versions/V|/labels/L][:predict|/metadata]`, and `/v1/models` (KServe's list). A label
 * is looked up as a version is: by name, then as `stable` or `canary`.
 */
export function address(segments: readonly string[]): PathResource | null {
  const [root, models, model, by, ...rest] = segments;
  if (root !== "v1" || models !== "models") return null;
  if (model === undefined) return { method: "GET", address: { kind: "models", protocol } };
  if (by !== "versions" && by !== "labels") {
    const found = asked(segments.slice(2), null);
    return found === null ? null : resource(found);
  }
  if (model.includes(":") || rest.length === 0) return null;
  const found = asked(rest, null);
  return found === null ? null : resource({ ...found, endpoint: model, version: found.endpoint });
}
