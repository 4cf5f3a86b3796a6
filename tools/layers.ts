/**
 * Checks the dependency rules of `.dependency-cruiser.mjs` over `src`. Fails as well when no module
 * was read: a check that looks at nothing must not pass.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";

import { cruise, format, type ICruiseResult } from "dependency-cruiser";
import extractOptions from "dependency-cruiser/config-utl/extract-depcruise-options";

const root = resolve(import.meta.dirname, "..");
process.chdir(root);

async function main(): Promise<void> {
  if (!existsSync("src")) throw new Error("there is no src to check");
  const options = await extractOptions(resolve(root, ".dependency-cruiser.mjs"));
  const { output } = await cruise(["src"], { ...options, validate: true, outputType: "json" });
  const result: ICruiseResult = typeof output === "string" ? JSON.parse(output) : output;

  const cruised = result.modules.filter((module) => module.source.startsWith("src/"));
  if (cruised.length === 0) throw new Error("no module under src was read: nothing was checked");

  const { output: report } = await format(result, { outputType: "err-long" });
  console.log(typeof report === "string" ? withoutNotice(report) : JSON.stringify(report));
  console.log(`${cruised.length} modules under src`);
  if (result.summary.error > 0) process.exitCode = 1;
}

/** The tool warns that it cannot use this TypeScript to parse; swc parses for it. */
const withoutNotice = (report: string): string =>
  report.replace(/\n[^\n]*missing-tsc-transpiler[\s\S]*$/, "").trim();

main().catch((error: unknown) => {
  process.stderr.write(`layers: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
