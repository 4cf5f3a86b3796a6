import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test, vi } from "vitest";

import { RotatedLog } from "./rotated-log.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-rotated-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a full log is renamed and begun anew, and nothing is lost", async () => {
  const path = join(folder, "logs", "model.log");
  const log = new RotatedLog(path, 100);
  for (let line = 0; line < 10; line += 1)
    log.write(Buffer.from(`line ${line} ${"x".repeat(12)}\n`));
  await vi.waitFor(() => {
    const both = readFileSync(`${path}.1`, "utf8") + readFileSync(path, "utf8");
    expect(both.match(/line \d/g)).toEqual(Array.from({ length: 10 }, (_, line) => `line ${line}`));
    expect(readFileSync(path, "utf8").length).toBeLessThanOrEqual(100);
  });
});

test("the last lines are at hand, the one that has not ended too", () => {
  const log = new RotatedLog(join(folder, "model.log"));
  log.write(Buffer.from("one\ntwo\n\nthr"));
  log.write(Buffer.from("ee\nfour"));
  expect(log.lastLines(3)).toBe("two\nthree\nfour");
});

test("the last lines do nothing to a terminal, and stay short", () => {
  const log = new RotatedLog(join(folder, "binary.log"));
  log.write(Buffer.from("\u001b[31mred\u001b[0m\u0007\tdone\r\n"));
  log.write(Buffer.of(0, 0xff, 0xfe, 10));
  log.write(Buffer.from("z".repeat(10_000)));
  expect(log.lastLines(5)).toBe(`red done\n${"z".repeat(500)}`);
});

test("the first exception is shown that what wraps a server has left behind, not one of long ago", () => {
  const log = new RotatedLog(join(folder, "wrapped.log"));
  log.write(Buffer.from(`KeyError: 'handled'\n${"  File x, line 1\n".repeat(120)}`));
  expect(log.lastLines(1)).toBe("  File x, line 1");
  log.write(Buffer.from("app.errors.LoadError: no weights\n"));
  expect(log.lastLines(1)).toBe("app.errors.LoadError: no weights");
  log.write(Buffer.from(`${"  File x, line 1\n".repeat(40)}Exception: the command failed\n`));
  expect(log.lastLines(2)).toBe(
    "app.errors.LoadError: no weights\n…\n  File x, line 1\nException: the command failed",
  );
});
