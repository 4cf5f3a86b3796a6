import CliTable from "cli-table3";

const NOTHING = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "   ",
} as const;

/** Columns without borders, as people know them from kubectl; the first row is the head. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const table = new CliTable({
    chars: NOTHING,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
  });
  table.push(...rows.map((row) => row.map((cell) => cell.replaceAll(/[\r\n]+/g, " "))));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
}
