import { LastgoodError } from "../../core/errors/index.ts";

/**
 * The one JSON text of a value: members sorted by name (UTF-16 order), no spaces, numbers and
 * strings as JSON.stringify writes them; members that are undefined are left out, as JSON does.
 * Equal values give equal text, so it can be hashed.
 * @throws `internal` for what JSON cannot say: NaN, ±Infinity, functions, a bare undefined.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
    return `{${members.join(",")}}`;
  }
  const sayable =
    value === null ||
    typeof value === "string" ||
    typeof value === "boolean" ||
    (typeof value === "number" && Number.isFinite(value));
  if (!sayable) throw new LastgoodError("internal", `JSON cannot say a ${typeof value} like this`);
  return JSON.stringify(value);
}
