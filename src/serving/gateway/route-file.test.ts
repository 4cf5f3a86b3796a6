import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";

import { plainRoute } from "../../../test/support/route-facts.ts";
import { parseEndpointName } from "../../core/version/index.ts";
import { recordedEndpoints, RouteFile, type RouteRecord } from "./route-file.ts";
import { decodeSlot, encodeSlot, newestSlot } from "./slots.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lg-slots-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function record(sequence: number, salt = "s"): RouteRecord {
  const route = plainRoute({
    endpoint: parseEndpointName("iris-prod"),
    order: { generation: 0, epoch: 0, sequence },
    split: { salt, arms: [] },
  });
  return { route, overrides: [] };
}

test("what was written last is read, by another process too", async () => {
  const file = new RouteFile(folder, "iris-prod");
  expect(await file.read()).toBeNull();
  for (const sequence of [1, 2, 3]) {
    await file.write(record(sequence));
    expect((await new RouteFile(folder, "iris-prod").read())?.route.order.sequence).toBe(sequence);
  }
  expect(await recordedEndpoints(folder)).toEqual(["iris-prod"]);
});

test("never over the newest record is written, nor by a process that takes over", async () => {
  let file = new RouteFile(folder, "iris-prod");
  await file.write(record(1));
  for (let sequence = 2; sequence < 8; sequence += 1) {
    if (sequence % 3 === 0) {
      file = new RouteFile(folder, "iris-prod");
      await file.read();
    }
    await file.write(record(sequence));
    const bytes = readFileSync(join(folder, "iris-prod.slots"));
    const half = bytes.length / 2;
    const kept = [bytes.subarray(0, half), bytes.subarray(half)].map(
      (slot) => decodeSlot(slot)?.sequence,
    );
    expect(kept).toEqual(expect.arrayContaining([sequence - 1, sequence]));
  }
});

test("of records that are written at once the last one stays", async () => {
  const file = new RouteFile(folder, "iris-prod");
  await Promise.all([1, 2, 3, 4, 5].map((sequence) => file.write(record(sequence))));
  expect((await new RouteFile(folder, "iris-prod").read())?.route.order.sequence).toBe(5);
});

test("what a gateway remembers is for its own user, and other files are no endpoints", async () => {
  const below = join(folder, "routes");
  await new RouteFile(below, "iris-prod").write(record(1));
  expect(statSync(join(below, "iris-prod.slots")).mode & 0o777).toBe(0o600);
  writeFileSync(join(below, "note.txt"), "");
  expect(await recordedEndpoints(below)).toEqual(["iris-prod"]);
});

test("a file without a whole record is none, and is written anew", async () => {
  writeFileSync(join(folder, "iris-prod.slots"), Buffer.alloc(4_096));
  const file = new RouteFile(folder, "iris-prod");
  expect(await file.read()).toBeNull();
  await file.write(record(1));
  expect((await new RouteFile(folder, "iris-prod").read())?.route.order.sequence).toBe(1);
});

test("the file keeps its size and place while routes fit, so a full disk does not matter", async () => {
  const file = new RouteFile(folder, "iris-prod");
  await file.write(record(1));
  const before = statSync(join(folder, "iris-prod.slots"));
  for (let sequence = 2; sequence < 10; sequence += 1) await file.write(record(sequence));
  const after = statSync(join(folder, "iris-prod.slots"));
  expect([after.size, after.ino]).toEqual([before.size, before.ino]);
});

test("a route that outgrows its slot gets a larger file", async () => {
  const file = new RouteFile(folder, "iris-prod");
  await file.write(record(1));
  await file.write(record(2, "x".repeat(3_000_000)));
  const read = await new RouteFile(folder, "iris-prod").read();
  expect(read?.route.split.salt).toHaveLength(3_000_000);
  await file.write(record(3));
  expect((await new RouteFile(folder, "iris-prod").read())?.route.order.sequence).toBe(3);
});

test("a file that somebody took away is made anew", async () => {
  const file = new RouteFile(folder, "iris-prod");
  await file.write(record(1));
  rmSync(join(folder, "iris-prod.slots"));
  await file.write(record(2));
  expect((await new RouteFile(folder, "iris-prod").read())?.route.order.sequence).toBe(2);
});

test("a disk that takes only a part of a larger file leaves the one that is there", async () => {
  await new RouteFile(folder, "iris-prod").write(record(1));
  const module = join(import.meta.dirname, "route-file.ts");
  const larger = join(folder, "larger.json");
  writeFileSync(larger, JSON.stringify(record(2, "x".repeat(3_000_000))));
  const program = `
    import { readFileSync } from "node:fs";
    const { RouteFile } = await import(${JSON.stringify(module)});
    const file = new RouteFile(${JSON.stringify(folder)}, "iris-prod");
    await file.read();
    await file.write(JSON.parse(readFileSync(${JSON.stringify(larger)}, "utf8")));`;
  const node = [process.execPath, "--input-type=module", "--eval", program];
  // Smaller than the record, and larger, but smaller than its file.
  for (const kilobytes of [2_000, 4_000]) {
    const limited = ["-c", `ulimit -f ${kilobytes}; exec "$@"`, "bash", ...node];
    expect(spawnSync("bash", limited, { encoding: "utf8" }).stderr).toContain("EFBIG");
    expect((await new RouteFile(folder, "iris-prod").read())?.route.order.sequence).toBe(1);
  }
  expect(readdirSync(folder).toSorted()).toEqual(["iris-prod.slots", "larger.json"]);
});

test("with any byte of the newest slot corrupted the older one is returned", async () => {
  const file = new RouteFile(folder, "iris-prod");
  for (const sequence of [1, 2]) await file.write(record(sequence));
  const path = join(folder, "iris-prod.slots");
  const whole = readFileSync(path);
  const newest = newestSlot(whole);
  const start = newest?.half === 1 ? whole.length / 2 : 0;
  const length = encodeSlot({
    sequence: 2,
    payload: newest?.slot.payload ?? Buffer.alloc(0),
  }).length;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (offset, flip) => {
        const torn = Buffer.from(whole);
        torn[start + offset] = (torn[start + offset] ?? 0) ^ flip;
        writeFileSync(path, torn);
        const read = await new RouteFile(folder, "iris-prod").read();
        expect(read?.route.order.sequence).toBe(1);
      },
    ),
    { numRuns: 30 },
  );
});

test("a slot cut anywhere is not taken for a whole one", () => {
  const slot = encodeSlot({ sequence: 7, payload: Buffer.from("payload") });
  expect(decodeSlot(slot)).toEqual({ sequence: 7, payload: Buffer.from("payload") });
  for (let length = 0; length < slot.length; length += 1) {
    expect(decodeSlot(slot.subarray(0, length))).toBeNull();
    const padded = Buffer.concat([slot.subarray(0, length), Buffer.alloc(slot.length - length)]);
    expect(decodeSlot(padded)).toBeNull();
  }
});
