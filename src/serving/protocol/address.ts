/** The protocols that clients speak here. */
export type ProtocolName = "oip" | "oip-grpc" | "mlflow" | "tfserving";

/** Where an inference request goes; null: the default endpoint, the version the route decides. */
export interface InferAddress {
  readonly kind: "infer";
  readonly protocol: ProtocolName;
  readonly endpoint: string | null;
  readonly version: string | null;
}

/** A health or metadata question. */
export type StatusAddress =
  | {
      /** `version` is the text of MLflow's `/version`, `models` the list of what is served. */
      readonly kind: "live" | "ready" | "server" | "models" | "version";
      readonly protocol: ProtocolName;
    }
  | {
      /** Metadata or readiness of an endpoint; null: the default endpoint. */
      readonly kind: "model" | "model-ready";
      readonly protocol: ProtocolName;
      readonly endpoint: string | null;
      readonly version: string | null;
    };

/** What a method and path of the serving port name. */
export type Address =
  | InferAddress
  | StatusAddress
  /** `/healthz` and `/readyz`: lastgood's own probes. */
  | { readonly kind: "healthz" | "readyz" }
  /** A part of the protocol that is refused by design. */
  | {
      readonly kind: "unsupported";
      readonly protocol: ProtocolName;
      readonly why: string;
      readonly hint: string;
    }
  /** The path exists, the method does not: 405 with `allow` as the Allow header. */
  | {
      readonly kind: "method-not-allowed";
      readonly protocol: ProtocolName | null;
      readonly allow: string;
    };

/** What a path names, with the method it takes. */
export interface PathResource {
  readonly method: "GET" | "POST";
  readonly address: Exclude<Address, { readonly kind: "method-not-allowed" }>;
}

const LONGEST_PATH = 2048;
// oxlint-disable-next-line no-control-regex -- control characters are exactly what is looked for
const UNSAFE = /[\0-\x1f\x7f/\\]/;

function decodeSegment(raw: string): string | null {
  let text = raw;
  if (raw.includes("%")) {
    try {
      text = decodeURIComponent(raw);
    } catch {
      return null;
    }
  }
  return text === "" || text === "." || text === ".." || UNSAFE.test(text) ? null : text;
}

/**
 * The decoded parts of a path, or null where one is empty, `.` or `..`, or holds an encoded slash, a
 * control character or broken percent-encoding. One slash at the end is allowed.
 */
export function pathSegments(pathname: string): readonly string[] | null {
  if (!pathname.startsWith("/") || pathname.length > LONGEST_PATH) return null;
  const segments: string[] = [];
  const raw = pathname.slice(1).split("/");
  if (raw.length > 1 && raw.at(-1) === "") raw.pop();
  for (const part of raw) {
    const segment = decodeSegment(part);
    if (segment === null) return null;
    segments.push(segment);
  }
  return segments;
}

/** The protocol whose error form an unknown path is answered in. */
export function protocolOfPath(pathname: string): ProtocolName {
  if (pathname === "/v2" || pathname.startsWith("/v2/")) return "oip";
  return pathname === "/v1" || pathname.startsWith("/v1/") ? "tfserving" : "mlflow";
}
