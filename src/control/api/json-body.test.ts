import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { JSON_LIMITS, readJson } from "./json-body.ts";

function request(body: string | Uint8Array<ArrayBuffer> | ReadableStream): Request {
  return new Request("http://localhost/", { method: "POST", body, duplex: "half" });
}

test("what JSON can say within the depth comes back as it was", async () => {
  await fc.assert(
    fc.asyncProperty(fc.json({ maxDepth: 8 }), async (text) => {
      expect(await readJson(request(text))).toEqual({ text, value: JSON.parse(text) as unknown });
    }),
  );
});

test("any other bytes are refused as input, never as something of ours", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1 }), async (bytes) => {
      const code = await readJson(request(new Uint8Array(bytes))).then(
        () => "taken",
        (error: unknown) => LastgoodError.from(error).code,
      );
      expect(["taken", "input.invalid"]).toContain(code);
    }),
  );
});

test("10,000 levels are refused, brackets inside of text are no levels", async () => {
  const deep = "[".repeat(10_000) + "]".repeat(10_000);
  await expect(readJson(request(deep))).rejects.toMatchObject({ code: "input.invalid" });
  const text = JSON.stringify({ note: `\\"${"[".repeat(10_000)}` });
  await expect(readJson(request(text))).resolves.toMatchObject({ text });
});

test("bytes that are not UTF-8 are refused", async () => {
  const bytes = new Uint8Array([0x22, 0xff, 0xfe, 0x22]);
  await expect(readJson(request(bytes))).rejects.toMatchObject({
    code: "input.invalid",
    message: "the body is not UTF-8",
  });
});

test("a body over the limit is refused, announced or not", async () => {
  const limits = { ...JSON_LIMITS, bytes: 10 };
  const long = JSON.stringify("x".repeat(20));
  await expect(readJson(request(long), limits)).rejects.toMatchObject({ code: "body.too-large" });
  const announced = new Request("http://localhost/", {
    method: "POST",
    headers: { "content-length": "1000" },
    body: "1",
  });
  await expect(readJson(announced, limits)).rejects.toMatchObject({ code: "body.too-large" });
});

test("a body that stalls, crawls or breaks off is refused and let go", async () => {
  const limits = { ...JSON_LIMITS, idleMs: 20, totalMs: 100 };
  let cancelled = false;
  const stalled = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array([0x7b])),
    cancel: () => {
      cancelled = true;
    },
  });
  await expect(readJson(request(stalled), limits)).rejects.toMatchObject({
    code: "input.invalid",
    message: "the body came too slowly",
  });
  expect(cancelled).toBe(true);
  const crawling = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      controller.enqueue(new Uint8Array([0x20]));
    },
  });
  await expect(readJson(request(crawling), limits)).rejects.toMatchObject({
    message: "the body came too slowly",
  });
  const broken = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new Error("reset")),
  });
  await expect(readJson(request(broken), limits)).rejects.toMatchObject({
    code: "input.invalid",
    message: "the body ended before it was complete",
  });
});
