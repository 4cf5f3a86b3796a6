import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { runCommandLine, type Ran } from "../../../test/support/command-line.ts";

let server: Server;
let folder: string;
let sent: { type: string | undefined; body: string }[];
let answer: Record<string, unknown>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "lg-feedback-"));
  sent = [];
  answer = { accepted: 1, duplicates: 0, late: 0, refused: 0, unknown: [] };
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      sent.push({ type: request.headers["content-type"], body });
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
});

afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

function run(...argv: string[]): Promise<Ran> {
  const { port } = server.address() as AddressInfo;
  const env = { LASTGOOD_URL: `http://127.0.0.1:${port}` };
  return runCommandLine(["feedback", ...argv], { env });
}

test("each way to tell it is sent as it is meant", async () => {
  expect(await run("id", "--correct")).toEqual({ exit: 0, out: "1 taken\n", err: "" });
  await run("id", "--wrong");
  await run("id", "--label", "fraud");
  await run("id", "--score", "0.5");
  expect(sent.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
    [{ requestId: "id", correct: true }],
    [{ requestId: "id", correct: false }],
    [{ requestId: "id", label: "fraud" }],
    [{ requestId: "id", score: 0.5 }],
  ]);
});

test("a CSV file is sent as it is, and what is refused is named with exit code 4", async () => {
  const file = join(folder, "labels.csv");
  writeFileSync(file, "request_id,label\na,1\nb,é\n");
  answer = {
    accepted: 1,
    duplicates: 2,
    late: 3,
    refused: 2,
    unknown: [{ requestId: "b", why: "is not a request id" }],
  };
  expect(await run("--csv", file)).toEqual({
    exit: 4,
    out: "1 taken, 2 counted before, ignored, 3 older than 7 days, ignored, 2 refused\n  b: is not a request id\n  and 1 more\n",
    err: "",
  });
  expect(sent).toEqual([{ type: "text/csv", body: "request_id,label\na,1\nb,é\n" }]);
  const { exit, out } = await run("--csv", file, "--json");
  expect([exit, JSON.parse(out)]).toEqual([4, answer]);
});

test.each([
  [["id"], "exactly one of --correct, --wrong, --label and --score is needed"],
  [["id", "--correct", "--wrong"], "exactly one of"],
  [["--correct"], "which request?"],
  [["id", "--csv", "x"], "--csv stands alone"],
  [["id", "--score", "2"], "accepted are numbers from 0 to 1"],
  [["--csv", "/no/such/file"], "/no/such/file cannot be read"],
])("%j is not understood", async (argv, why) => {
  const { exit, err } = await run(...argv);
  expect([exit, err]).toEqual([2, expect.stringContaining(why)]);
  expect(sent).toEqual([]);
});
