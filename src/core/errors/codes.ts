/** How one error code shows at each edge of the system. */
export interface ErrorTraits {
  /** HTTP status of a problem-details answer. */
  readonly http: number;
  /** Exit code of the CLI (DESIGN.md section 10). */
  readonly exit: number;
  /** Level at which a server logs it. */
  readonly level: "debug" | "info" | "warn" | "error";
  /** What went wrong, in one sentence without particulars. */
  readonly title: string;
}

function usage(title: string): ErrorTraits {
  return { http: 400, exit: 2, level: "info", title };
}
function absent(title: string): ErrorTraits {
  return { http: 404, exit: 1, level: "info", title };
}
function refused(title: string, http = 409): ErrorTraits {
  return { http, exit: 4, level: "warn", title };
}
function failure(title: string, http = 500): ErrorTraits {
  return { http, exit: 1, level: "error", title };
}

/** The closed set of error codes; docs/reference/errors.md lists the same codes. */
export const ERROR_CODES = {
  "usage.invalid": usage("The command or one of its options was not understood"),
  "input.invalid": usage("The request does not have the expected form"),
  "name.invalid": usage("The name contains characters that are not allowed"),
  "name.reserved": usage("The name is reserved"),
  "reference.invalid": usage("The version reference was not understood"),
  "endpoint.ambiguous": usage("More than one endpoint fits, so one has to be named"),
  "config.invalid": usage("The configuration is not valid"),
  "evidence.invalid": usage("The counts or settings of a statistical test cannot be"),
  "model.not-found": absent("No model has this name"),
  "version.not-found": absent("The model has no such version"),
  "endpoint.not-found": absent("No endpoint has this name"),
  "revision.not-found": absent("The endpoint has no such revision"),
  "alias.not-found": absent("The model has no such alias"),
  "rollback.not-found": absent("The endpoint has no such rollback"),
  "incident.not-found": absent("No rollback and no rollout has this id"),
  "evidence.not-found": absent("No evidence is stored under this id"),
  "route.not-found": absent("Nothing is served under this address"),
  "version.exists": refused("The version name is taken by other bytes"),
  "version.archived": refused("The version is archived"),
  "version.barred": refused("The version failed and is barred"),
  "version.in-use": refused("The version is still needed by an endpoint"),
  "endpoint.other-model": refused("The endpoint serves another model"),
  "artifact.corrupt": refused("Stored bytes do not match their digest"),
  "artifact.missing": refused("Stored bytes are missing"),
  "artifact.invalid": { http: 422, exit: 1, level: "info", title: "The model file cannot be used" },
  "signature.mismatch": refused("The signatures do not fit each other"),
  "code.not-allowed": refused("The version's files are code, and this server runs none", 403),
  "preflight.rejected": refused("The candidate did not pass preflight"),
  "target.none": refused("There is no proven version to go back to"),
  "target.unproven": refused("The named version could not be proven"),
  "rollout.in-progress": refused("A rollout is under way"),
  "rollout.none": refused("No rollout is under way"),
  "rollout.phase": refused("The rollout is in a phase that does not allow this"),
  "rollout.weight": refused("The weight is not allowed"),
  "current.mismatch": refused("Another version is serving than expected", 412),
  "reinstate.refused": refused("The rollback can no longer be taken back"),
  "server.running": refused("Another server owns this data folder or address"),
  "address.in-use": refused("The address is in use"),
  "history.altered": failure("The history does not match its hash chain", 409),
  "verification.failed": failure("The switch could not be verified"),
  "rollback.no-target-left": failure("Every target failed its verification"),
  "gateway.unavailable": failure("No gateway is connected", 503),
  "server.unreachable": failure("The server does not answer", 503),
  "store.unavailable": failure("The store did not take the write", 503),
  "body.too-large": { http: 413, exit: 1, level: "info", title: "The body is too large" },
  "host.forbidden": { http: 403, exit: 1, level: "warn", title: "The Host header is not allowed" },
  "origin.forbidden": {
    http: 403,
    exit: 1,
    level: "warn",
    title: "The Origin header is not allowed",
  },
  "content-type.unsupported": {
    http: 415,
    exit: 1,
    level: "info",
    title: "The content type is not accepted",
  },
  "method.not-allowed": {
    http: 405,
    exit: 1,
    level: "info",
    title: "The address takes other methods",
  },
  "protocol.unsupported": {
    http: 501,
    exit: 1,
    level: "info",
    title: "This part of the protocol is not served",
  },
  "request.invalid": {
    http: 400,
    exit: 1,
    level: "debug",
    title: "The inference request breaks the contract",
  },
  "runtime.failed": failure("The model failed on this request"),
  "runtime.timeout": failure("The model did not answer in time", 504),
  "runtime.unavailable": failure("The model is not loaded", 503),
  overloaded: { http: 429, exit: 1, level: "warn", title: "Too many requests are waiting" },
  "wait.undecided": {
    http: 504,
    exit: 5,
    level: "info",
    title: "The rollout had not ended at the deadline",
  },
  "wait.person": {
    http: 409,
    exit: 5,
    level: "info",
    title: "The rollout waits for a person",
  },
  "rollout.rolled-back": {
    http: 409,
    exit: 3,
    level: "warn",
    title: "The rollout was rolled back",
  },
  "rollout.superseded": {
    http: 409,
    exit: 6,
    level: "info",
    title: "The rollout was aborted or superseded",
  },
  "link.invalid": failure("A message between the planes was not understood", 502),
  internal: failure("Something went wrong inside lastgood"),
} as const satisfies Record<string, ErrorTraits>;

/** One of the closed set of error codes. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** True for a string that is one of the closed set of codes. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERROR_CODES, value);
}
