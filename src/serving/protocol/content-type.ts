/** A Content-Type header in parts. */
export interface ContentType {
  /** Lower case, without parameters: `application/json`. */
  readonly media: string;
  /** Names in lower case, values without quotes. */
  readonly parameters: Readonly<Record<string, string>>;
}

const PLAIN_JSON: ContentType = { media: "application/json", parameters: {} };

/** Reads a Content-Type header; null for none. */
export function parseContentType(header: string | null): ContentType | null {
  if (header === "application/json") return PLAIN_JSON;
  if (header === null) return null;
  const [media = "", ...pairs] = header.split(";").map((part) => part.trim());
  const named = pairs
    .filter((pair) => pair !== "")
    .map((pair): [string, string] => {
      const at = pair.includes("=") ? pair.indexOf("=") : pair.length;
      const value = pair.slice(at + 1).replace(/^"(.*)"$/, "$1");
      return [pair.slice(0, at).trim().toLowerCase(), value.trim()];
    });
  return { media: media.toLowerCase(), parameters: Object.fromEntries(named) };
}
