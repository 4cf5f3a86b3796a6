import { historyEntrySchema, type HistoryEntry } from "../core/api/index.ts";
import type { FetchAnswer } from "./fetch.ts";

/** Longest event that is read, characters. */
const MAX_EVENT_LENGTH = 1024 * 1024;

/** History entries of a server-sent event stream; comments and other events are passed over. */
export async function* readEvents(response: FetchAnswer): AsyncGenerator<HistoryEntry, void> {
  if (response.body === null) return;
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true }).replaceAll("\r\n", "\n");
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    if (text.length > MAX_EVENT_LENGTH) return;
    for (const block of blocks) {
      const entry = parseBlock(block);
      if (entry !== null) yield entry;
    }
  }
}

function parseBlock(block: string): HistoryEntry | null {
  const data = block
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice("data:".length).trimStart())
    .join("\n");
  if (data === "") return null;
  try {
    const entry = historyEntrySchema.safeParse(JSON.parse(data));
    return entry.success ? entry.data : null;
  } catch {
    return null;
  }
}
