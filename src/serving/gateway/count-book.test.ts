import { expect, test } from "vitest";

import { CountBook } from "./count-book.ts";
import { parseProbeHeader, probeHeader } from "./probe-header.ts";

const address = { endpoint: "e", revision: 1, arm: "assigned", interval: 1 } as const;
const who = { gateway: "g", incarnation: "i", worker: 0 };

test("only what changed is reported, as totals", () => {
  const book = new CountBook(who);
  const cell = book.cell(address);
  expect(book.cell({ ...address })).toBe(cell);
  cell.requests += 2;
  cell.errors += 1;
  expect(book.changed(() => true)).toEqual([
    { ...who, ...address, requests: 2, errors: 1, rejected: 0 },
  ]);
  expect(book.changed(() => true)).toEqual([]);
  cell.requests += 1;
  expect(book.changed(() => true)).toMatchObject([{ requests: 3, errors: 1 }]);
});

test("a cell is forgotten only when it is quiet and its interval is over", () => {
  const book = new CountBook(who);
  const cell = book.cell(address);
  for (let report = 0; report < 500; report += 1) book.changed(() => true);
  expect(book.cell(address)).toBe(cell);
  for (let report = 0; report < 500; report += 1) book.changed(() => false);
  expect(book.cell(address)).not.toBe(cell);
});

test("a probe header is believed only with this process's token", () => {
  for (const apart of [false, true]) {
    const asked = { revision: 7, apart };
    expect(parseProbeHeader(probeHeader("token", asked), "token")).toEqual(asked);
  }
  for (const forged of ["", ".", "token", "token.", "tokem.7", ".7", "token.x", "token.7!!"])
    expect([null, 0]).toContain(parseProbeHeader(forged, "token")?.revision ?? null);
  expect(parseProbeHeader("other.7", "token")).toBeNull();
});
