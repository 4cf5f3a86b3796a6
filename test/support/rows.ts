import { readFileSync } from "node:fs";

import { example } from "./server.ts";

/** A held-out row with its true label. */
export interface LabelledRow {
  readonly features: readonly number[];
  readonly label: string;
}

/** The held-out rows of one of the examples. */
export function heldOutRows(model: "iris" | "breast-cancer" | "digits"): readonly LabelledRow[] {
  const [, ...lines] = readFileSync(example(`${model}/held-out.csv`), "utf8")
    .trim()
    .split(/\r?\n/);
  return lines.map((line) => {
    const cells = line.split(",");
    return { features: cells.slice(0, -1).map(Number), label: cells.at(-1) ?? "" };
  });
}
