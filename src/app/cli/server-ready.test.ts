import { expect, test } from "vitest";

import { whenReady } from "./server-ready.ts";

const never = new Promise<void>(() => undefined);

test("it is ready once the server says so", async () => {
  let asked = 0;
  const isReady = (): Promise<boolean> => {
    asked += 1;
    return Promise.resolve(asked > 2);
  };
  expect(await whenReady({ isReady }, never)).toBe("ready");
});

test("a server that is told to end is neither waited for nor announced", async () => {
  const ended = Promise.withResolvers<void>();
  const isReady = (): Promise<boolean> => {
    ended.resolve();
    return Promise.resolve(false);
  };
  expect(await whenReady({ isReady }, ended.promise)).toBe("ended");
  // Not even for as long as an answer may take.
  expect(await whenReady({ isReady: () => new Promise(() => undefined) }, ended.promise)).toBe(
    "ended",
  );
});
