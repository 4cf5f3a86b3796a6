import { expect, test } from "vitest";

import type { HistoryEntry, Status } from "../../core/api/index.ts";
import { parseEndpointName } from "../../core/version/index.ts";
import { EventStreams, parseEventId } from "./event-stream.ts";

type Listener = (entry: HistoryEntry) => void;

function entry(endpoint: string, sequence: number, at: number): HistoryEntry {
  return {
    endpoint,
    sequence,
    at,
    kind: "rollback.completed",
    actor: "ann",
    reason: "line\nend",
    data: {},
    previous: null,
    hash: "h",
  };
}

class Log {
  readonly entries: HistoryEntry[] = [];
  readonly listeners = new Set<Listener>();

  add(...entries: readonly HistoryEntry[]): void {
    for (const each of entries) {
      this.entries.push(each);
      for (const listener of this.listeners) listener(each);
    }
  }

  history(endpoint: string | null, after: number, limit: number): ReturnType<never> {
    const entries = this.entries
      .filter((each) => each.endpoint === endpoint && each.sequence > after)
      .slice(0, limit);
    return Promise.resolve({ endpoint, head: null, entries }) as never;
  }

  status(): Promise<Status> {
    const names = [...new Set(this.entries.map((each) => each.endpoint))];
    const endpoints = names.map((name) => ({ name: parseEndpointName(name) }));
    return Promise.resolve({ endpoints, gateways: [], alarms: [] } as unknown as Status);
  }

  watch(onEntry: Listener): () => void {
    this.listeners.add(onEntry);
    return () => this.listeners.delete(onEntry);
  }
}

async function take(
  stream: ReadableStream<Uint8Array>,
  count: number,
): Promise<{ ids: string[]; reader: ReadableStreamDefaultReader<Uint8Array> }> {
  const reader = stream.getReader();
  const ids: string[] = [];
  while (ids.length < count) {
    const part = await reader.read();
    if (part.done) break;
    const id = /^id: (.*)$/m.exec(Buffer.from(part.value).toString())?.[1];
    if (id !== undefined) ids.push(id);
  }
  return { ids, reader };
}

test("a new reader gets what happens from now on, each entry as one event", async () => {
  const log = new Log();
  log.add(entry("a", 1, 1));
  const stream = new EventStreams(log).open({ endpoint: null, position: null });
  await Promise.resolve();
  log.add(entry("a", 2, 2), entry("b", 1, 3));
  const { ids, reader } = await take(stream, 2);
  expect(ids).toEqual(["a:2", "b:1"]);
  await reader.cancel();
  expect(log.listeners.size).toBe(0);
});

test("a reader that comes back misses nothing of any endpoint and sees nothing twice", async () => {
  const log = new Log();
  for (let n = 1; n <= 600; n++) log.add(entry("a", n, 10 * n), entry("b", n, 10 * n + 5));
  const stream = new EventStreams(log).open({
    endpoint: null,
    position: { endpoint: "a", sequence: 598 },
  });
  log.add(entry("a", 601, 7_000));
  const { ids, reader } = await take(stream, 6);
  expect(ids).toEqual(["b:598", "a:599", "b:599", "a:600", "b:600", "a:601"]);
  await reader.cancel();
});

test("one endpoint's stream holds that endpoint alone", async () => {
  const log = new Log();
  log.add(entry("a", 1, 1), entry("b", 1, 2));
  const position = { endpoint: "b", sequence: 0 };
  const stream = new EventStreams(log).open({ endpoint: "b", position });
  log.add(entry("a", 2, 3), entry("b", 2, 4));
  const { ids, reader } = await take(stream, 2);
  expect(ids).toEqual(["b:1", "b:2"]);
  await reader.cancel();
});

test("a reader that falls too far behind is cut off and nothing is kept for it", () => {
  const log = new Log();
  new EventStreams(log).open({ endpoint: null, position: null });
  expect(log.listeners.size).toBe(1);
  return Promise.resolve().then(() => {
    for (let n = 1; n <= 1_500; n++) log.add(entry("a", n, n));
    expect(log.listeners.size).toBe(0);
  });
});

test("closing ends every stream", async () => {
  const log = new Log();
  const streams = new EventStreams(log);
  const stream = streams.open({ endpoint: null, position: null });
  streams.close();
  const { ids } = await take(stream, 1);
  expect(ids).toEqual([]);
  expect(log.listeners.size).toBe(0);
});

test("an event id is an endpoint and a number, anything else is none", () => {
  expect(parseEventId("fraud-prod:12")).toEqual({ endpoint: "fraud-prod", sequence: 12 });
  for (const text of ["", "12", "a:", "a:b", "a:1:2", "a:-1"])
    expect(parseEventId(text)).toBeNull();
});
