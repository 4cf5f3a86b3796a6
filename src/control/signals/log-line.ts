import type { LogSource } from "../../core/policy/index.ts";

/** What one line says. */
export interface JudgedLine {
  readonly isError: boolean;
  /** Version it names, or null. */
  readonly version: string | null;
  /** Revision it names, or null. */
  readonly revision: number | null;
}

/** Numbers of pino and bunyan: 50 is error. */
const ERROR_NUMBER = 50;

function fieldOf(value: unknown, path: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  const whole = (value as Record<string, unknown>)[path];
  if (whole !== undefined) return whole;
  const dot = path.indexOf(".");
  return dot < 0
    ? undefined
    : fieldOf((value as Record<string, unknown>)[path.slice(0, dot)], path.slice(dot + 1));
}

function textOf(value: unknown): string | null {
  return typeof value === "string" || typeof value === "number" ? String(value) : null;
}

function revisionOf(text: string | null | undefined): number | null {
  return text !== null && text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : null;
}

/** Judges lines as a source says. Null for what is no line of it: a stack trace between JSON lines. */
export function lineJudge(source: LogSource): (line: string) => JudgedLine | null {
  if (source.format === "regex") {
    const error = new RegExp(source.error, "u");
    const version = source.version === null ? null : new RegExp(source.version, "u");
    const revision = source.revision === null ? null : new RegExp(source.revision, "u");
    return (line) => ({
      isError: error.test(line),
      version: version?.exec(line)?.[1] ?? null,
      revision: revisionOf(revision?.exec(line)?.[1]),
    });
  }
  const errors = new Set(source.errors.map((name) => name.toLowerCase()));
  const { level, version, revision } = source;
  return (line) => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return null;
    }
    if (typeof value !== "object" || value === null) return null;
    const found = fieldOf(value, level);
    return {
      isError:
        typeof found === "number"
          ? found >= ERROR_NUMBER
          : typeof found === "string" && errors.has(found.toLowerCase()),
      version: version === null ? null : textOf(fieldOf(value, version)),
      revision: revision === null ? null : revisionOf(textOf(fieldOf(value, revision))),
    };
  };
}
