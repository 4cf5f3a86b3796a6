import { styleText } from "node:util";

/** Where text goes. */
export interface Output {
  write(text: string): unknown;
}

/** How the program speaks to whoever started it. */
export interface TerminalOptions {
  readonly stdout: Output;
  readonly stderr: Output;
  /** True when a person looks at stdout. */
  readonly isTerminal: boolean;
  readonly colour: boolean;
  /** Aborted once nobody reads stdout any more, as behind `| head`. */
  readonly unread?: AbortSignal | undefined;
  /** Width in characters. @default 100 */
  readonly columns?: number | undefined;
}

const ESCAPE = 0x1b;

type Format = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/**
 * Text that shows what it holds and steers no terminal: names, reasons and errors come from others.
 * Colours stay where they are ours to give.
 */
function harmless(text: string, colour: boolean): string {
  return text.replaceAll(/\p{Cc}(?:\[[\d;]*m)?/gu, (found) => {
    const code = found.charCodeAt(0);
    if (found.startsWith("\n") || found.startsWith("\t")) return found;
    if (colour && code === ESCAPE && found.length > 1) return found;
    return `\\x${code.toString(16).padStart(2, "0")}${found.slice(1)}`;
  });
}

/** Answers on stdout, everything else on stderr; with `--json` the answer is one JSON value. */
export class Terminal {
  readonly isTerminal: boolean;
  readonly columns: number;
  json = false;
  readonly #options: TerminalOptions;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.isTerminal = options.isTerminal;
    this.columns = options.columns ?? 100;
  }

  /** True once whoever read stdout has gone. */
  get isUnread(): boolean {
    return this.#options.unread?.aborted === true;
  }

  style(format: Format | readonly Format[], text: string): string {
    if (!this.#options.colour || this.json) return text;
    return styleText([...(typeof format === "string" ? [format] : format)], text, {
      validateStream: false,
    });
  }

  /** The command's answer: a JSON value, or the lines for people. */
  answer(value: unknown, lines: () => readonly string[]): void {
    if (this.json) this.#options.stdout.write(`${JSON.stringify(value)}\n`);
    else this.print(...lines());
  }

  /** Lines for people on stdout; nothing with `--json`. */
  print(...lines: readonly string[]): void {
    if (!this.json && lines.length > 0) this.#options.stdout.write(this.#plain(lines));
  }

  /** Text on stdout as it is, such as a help page. */
  raw(text: string): void {
    this.#options.stdout.write(text);
  }

  /** Progress and notes on stderr. */
  note(...lines: readonly string[]): void {
    if (lines.length > 0) this.#options.stderr.write(this.#plain(lines));
  }

  #plain(lines: readonly string[]): string {
    return `${harmless(lines.join("\n"), this.#options.colour)}\n`;
  }
}
