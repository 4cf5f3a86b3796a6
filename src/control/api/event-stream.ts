import type { EndpointService, HistoryEntry } from "../../core/api/index.ts";

const PAGE = 500;
/** Events a reader may be behind before its stream ends; it resumes with Last-Event-ID. */
const MAX_BEHIND = 1_000;
const HEARTBEAT_MS = 15_000;

type HistoryReader = Pick<EndpointService, "history" | "watch" | "status">;

/** Where a reader left off. */
export interface EventPosition {
  readonly endpoint: string;
  readonly sequence: number;
}

/** The position a `Last-Event-ID` of `<endpoint>:<sequence>` names, or null for any other text. */
export function parseEventId(text: string): EventPosition | null {
  const match = /^([^:]{1,128}):(\d{1,15})$/.exec(text);
  if (match?.[1] === undefined) return null;
  return { endpoint: match[1], sequence: Number(match[2]) };
}

function frameOf(entry: HistoryEntry): string {
  return `id: ${entry.endpoint}:${entry.sequence}\nevent: history\ndata: ${JSON.stringify(entry)}\n\n`;
}

async function pageAfter(
  reader: HistoryReader,
  endpoint: string,
  after: number,
): Promise<readonly HistoryEntry[]> {
  return (await reader.history(endpoint, after, PAGE)).entries;
}

/**
 * Entries of every endpoint that a reader at `position` has not seen, oldest first. An id names one
 * endpoint, so for the others the time of that entry decides; entries of that very millisecond are
 * sent again rather than left out.
 */
async function missed(
  reader: HistoryReader,
  position: EventPosition,
  only: string | null,
): Promise<readonly HistoryEntry[]> {
  const names = (await reader.status()).endpoints.map((endpoint) => endpoint.name as string);
  const [seen] = names.includes(position.endpoint)
    ? await pageAfter(reader, position.endpoint, position.sequence - 1)
    : [];
  const entries: HistoryEntry[] = [];
  for (const name of names.filter((each) => only === null || each === only)) {
    let after = name === position.endpoint ? position.sequence : 0;
    let page = await pageAfter(reader, name, after);
    while (page.length > 0) {
      const since = name === position.endpoint ? 0 : (seen?.at ?? 0);
      entries.push(...page.filter((entry) => entry.at >= since));
      after = page.at(-1)?.sequence ?? after;
      page = page.length < PAGE ? [] : await pageAfter(reader, name, after);
    }
  }
  return entries.toSorted((a, b) => a.at - b.at || a.sequence - b.sequence);
}

/** What a stream of events starts from. */
export interface EventStreamOptions {
  /** Only this endpoint's; null: all. */
  readonly endpoint: string | null;
  /** Null: only what happens from now on. */
  readonly position: EventPosition | null;
}

const nothing = (): void => undefined;

/** Server-sent events of history, each endpoint's entries in order and without a gap. */
export class EventStreams {
  readonly #reader: HistoryReader;
  readonly #ends = new Set<() => void>();

  constructor(reader: HistoryReader) {
    this.#reader = reader;
  }

  /** Ends every open stream. */
  close(): void {
    for (const end of this.#ends) end();
  }

  open(options: EventStreamOptions): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    let release = nothing;
    const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      const sent = new Map<string, number>();
      let waiting: HistoryEntry[] | null = [];
      let open = true;
      const send = (text: string): void => {
        if (!open) return;
        if ((controller.desiredSize ?? 0) <= 0) end();
        else controller.enqueue(encoder.encode(text));
      };
      const pass = (entry: HistoryEntry): void => {
        if (options.endpoint !== null && entry.endpoint !== options.endpoint) return;
        if ((sent.get(entry.endpoint) ?? 0) >= entry.sequence) return;
        sent.set(entry.endpoint, entry.sequence);
        send(frameOf(entry));
      };
      const unwatch = this.#reader.watch((entry) => {
        if (waiting === null) pass(entry);
        else waiting.push(entry);
      });
      const heartbeat = setInterval(() => send(": still here\n\n"), HEARTBEAT_MS);
      const end = (): void => {
        release();
        controller.close();
      };
      release = (): void => {
        release = nothing;
        open = false;
        unwatch();
        clearInterval(heartbeat);
        this.#ends.delete(end);
      };
      this.#ends.add(end);
      send(": lastgood events\nretry: 1000\n\n");
      const replay = async (): Promise<void> => {
        const { position } = options;
        const past =
          position === null ? [] : await missed(this.#reader, position, options.endpoint);
        for (const entry of past) pass(entry);
        for (const entry of waiting ?? []) pass(entry);
        waiting = null;
      };
      // A reader that could not be served from its position dials again and asks anew.
      replay().catch(() => {
        if (open) end();
      });
    };
    return new ReadableStream<Uint8Array>(
      {
        start,
        cancel: () => {
          release();
        },
      },
      { highWaterMark: MAX_BEHIND },
    );
  }
}
