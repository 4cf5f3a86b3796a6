import { ERROR_CODES, isErrorCode, type ErrorCode, type ErrorTraits } from "./codes.ts";

/** What one looked-at version was passed over for. */
export interface PassedOver {
  readonly version: string;
  readonly why: string;
}

/** The particulars of an error beside its message. */
export interface ErrorParticulars {
  /** What to type or change next. */
  readonly hint?: string | undefined;
  /** Machine-readable facts: names, paths, accepted values. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /** Every version looked at for a rollback, with why it was not taken. */
  readonly passedOver?: readonly PassedOver[] | undefined;
  readonly cause?: unknown;
}

/** The form an error has on every wire: API, link and `--json`. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
  readonly details: Readonly<Record<string, unknown>>;
  readonly passedOver: readonly PassedOver[];
}

/** The one error class; its code decides HTTP status, exit code and log level. */
export class LastgoodError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  readonly passedOver: readonly PassedOver[];

  constructor(code: ErrorCode, message: string, particulars: ErrorParticulars = {}) {
    super(message, particulars.cause === undefined ? undefined : { cause: particulars.cause });
    this.name = "LastgoodError";
    this.code = code;
    this.hint = particulars.hint;
    this.details = particulars.details ?? {};
    this.passedOver = particulars.passedOver ?? [];
  }

  get traits(): ErrorTraits {
    return ERROR_CODES[this.code];
  }

  /** The wire form; the same in the API, over the link and in `--json`. */
  toBody(): ErrorBody {
    return {
      code: this.code,
      message: this.message,
      hint: this.hint ?? null,
      details: this.details,
      passedOver: this.passedOver,
    };
  }

  /** Any thrown value as a LastgoodError; an unknown one becomes `internal`. */
  static from(thrown: unknown): LastgoodError {
    if (thrown instanceof LastgoodError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new LastgoodError("internal", message, { cause: thrown });
  }

  /** Rebuilds an error from its wire form; an unknown code becomes `internal`. */
  static fromBody(body: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string | null | undefined;
    readonly details?: Readonly<Record<string, unknown>> | undefined;
    readonly passedOver?: readonly PassedOver[] | undefined;
  }): LastgoodError {
    return new LastgoodError(isErrorCode(body.code) ? body.code : "internal", body.message, {
      hint: body.hint ?? undefined,
      details: body.details,
      passedOver: body.passedOver,
    });
  }
}

/** Marks a place no value can reach; a new union member stops compiling here. */
export function unreachable(value: never): never {
  throw new LastgoodError("internal", `unexpected value ${JSON.stringify(value)}`);
}
