import { Agent, request } from "node:http";

import type { DemoRow } from "./model-folder.ts";

/** What a caller saw of one request. */
export interface Seen {
  /** When it was sent, ms since the callers began. */
  readonly sentMs: number;
  /** When it was answered. */
  readonly atMs: number;
  /** Null when the connection was dropped. */
  readonly status: number | null;
  /** Who answered, as the answer says. */
  readonly version: string | null;
  readonly correct: boolean;
  /** The gateway's name for it; null when there was no answer. */
  readonly requestId: string | null;
}

/** What callers saw within one span of time. */
export interface Sight {
  readonly requests: number;
  readonly errors: number;
  readonly correct: number;
  /** Answers by version. */
  readonly versions: ReadonlyMap<string, number>;
}

/** Counts what was seen from `fromMs` on. */
export function summarise(seen: readonly Seen[], fromMs: number): Sight {
  const versions = new Map<string, number>();
  let requests = 0;
  let errors = 0;
  let correct = 0;
  for (let index = seen.length - 1; index >= 0; index -= 1) {
    const one = seen[index];
    if (one === undefined || one.atMs < fromMs) break;
    requests += 1;
    if (one.status !== 200) errors += 1;
    if (one.correct) correct += 1;
    if (one.version !== null) versions.set(one.version, (versions.get(one.version) ?? 0) + 1);
  }
  return { requests, errors, correct, versions };
}

interface OipAnswer {
  readonly outputs?: readonly {
    readonly name: string;
    readonly data: readonly (string | number)[];
  }[];
}

function labelOf(body: string): string | null {
  try {
    const answer = JSON.parse(body) as OipAnswer;
    const label = answer.outputs?.find((output) => output.name === "label")?.data[0];
    return label === undefined ? null : String(label);
  } catch {
    return null;
  }
}

/** Callers that send held-out rows at a steady rate, over the public port, and check the answers. */
export class Callers {
  readonly seen: Seen[] = [];
  readonly #url: string;
  readonly #rows: readonly DemoRow[];
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #perSecond: number;
  #sent = 0;
  #underWay = 0;
  #whenIdle: (() => void) | null = null;

  constructor(options: {
    readonly url: string;
    readonly rows: readonly DemoRow[];
    readonly perSecond: number;
  }) {
    this.#url = options.url;
    this.#rows = options.rows;
    this.#perSecond = options.perSecond;
    this.#timer = setInterval(() => this.#catchUp(), 10);
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  /** Sends no more, and waits for what is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#underWay > 0)
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    this.#agent.destroy();
  }

  /** As many as are due: a slow server is not spared, as real callers would not spare it. */
  #catchUp(): void {
    const due = Math.floor((this.elapsedMs / 1_000) * this.#perSecond);
    while (this.#sent < due && this.#underWay < 512) this.#send();
  }

  #send(): void {
    const row = this.#rows[this.#sent % this.#rows.length];
    this.#sent += 1;
    if (row === undefined) return;
    this.#underWay += 1;
    const sentMs = this.elapsedMs;
    const lost = (): void =>
      this.#note({ sentMs, status: null, version: null, correct: false, requestId: null });
    const outgoing = request(
      this.#url,
      { method: "POST", agent: this.#agent, headers: { "content-type": "application/json" } },
      (incoming) => {
        let body = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (chunk: string) => (body += chunk));
        incoming.once("error", lost);
        incoming.once("end", () => {
          const version = incoming.headers["x-lastgood-version"];
          const requestId = incoming.headers["x-lastgood-request-id"];
          this.#note({
            sentMs,
            status: incoming.statusCode ?? null,
            version: typeof version === "string" ? version : null,
            correct: labelOf(body) === row.label,
            requestId: typeof requestId === "string" ? requestId : null,
          });
        });
      },
    );
    outgoing.once("error", lost);
    outgoing.end(row.body);
  }

  #note(seen: Omit<Seen, "atMs">): void {
    this.seen.push({ ...seen, atMs: this.elapsedMs });
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#whenIdle?.();
  }
}
