/**
 * Prints "PASSED FAILED" for a test run, read from vitest's JSON report.
 *
 *   node tools/count-results.ts REPORT EXIT_CODE
 *
 * What did not run did not pass: skipped and todo tests count as failed, and so does a file that
 * broke before its first test, or a run that ended badly without naming a test.
 */
import { existsSync, readFileSync } from "node:fs";

import { z } from "zod";

const Report = z.object({
  testResults: z.array(
    z.object({
      status: z.string(),
      assertionResults: z.array(z.object({ status: z.string() })),
    }),
  ),
});

function count(file: string, exitCode: number): { passed: number; failed: number } {
  let passed = 0;
  let failed = 0;
  if (existsSync(file)) {
    const report = Report.parse(JSON.parse(readFileSync(file, "utf8")));
    for (const { status, assertionResults } of report.testResults) {
      const good = assertionResults.filter((test) => test.status === "passed").length;
      const bad = assertionResults.length - good;
      passed += good;
      failed += status === "failed" && bad === 0 ? 1 : bad;
    }
  }
  if (exitCode !== 0 && failed === 0) failed = 1;
  return { passed, failed };
}

const [file = "", exitCode = "0"] = process.argv.slice(2);
const { passed, failed } = count(file, Number(exitCode));
console.log(`${passed} ${failed}`);
