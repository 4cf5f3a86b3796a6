import { LastgoodError } from "../../core/errors/index.ts";

/** What is known of a version beside its files. */
export interface VersionFacts {
  readonly metrics: Readonly<Record<string, number>>;
  readonly params: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly lineage: Readonly<Record<string, string>>;
  /** What a person should know. */
  readonly notes: readonly string[];
}

/**
 * @throws `body.too-large` for a file that the server here would not take: it costs hours to fetch, and
 * to send, for nothing.
 */
export function mustBeTaken(path: string, size: number, maxFileBytes: number): void {
  if (size <= maxFileBytes) return;
  throw new LastgoodError(
    "body.too-large",
    `${path} has ${size} bytes, and the server takes ${maxFileBytes} at most`,
    { hint: "serve with uploads: { maxFile: 128GiB } in server.yaml" },
  );
}

/** A version that was brought here. */
export interface BroughtVersion extends Partial<VersionFacts> {
  /** Its folder, or its file. */
  readonly path: string;
}

/** A version where it is now. */
export interface OfferedVersion {
  /** What it is called there; kept as the lineage `imported_from`. */
  readonly origin: string;
  /** The names it gets here. */
  readonly model: string;
  readonly name: string;
  readonly aliases: readonly string[];
  /**
   * Brings its files into the workspace, a folder of this version's own that outlives a crash, unless
   * they lie somewhere already; a file longer than `maxFileBytes` is not fetched.
   * @throws what keeps the version from being had: `artifact.missing`, `artifact.corrupt`,
   * `artifact.invalid`, `body.too-large`; `server.unreachable`.
   */
  bring(workspace: string, maxFileBytes: number): Promise<BroughtVersion>;
}
