import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { RequestBound } from "./request-bound.ts";

function refusal(ask: () => unknown): Pick<LastgoodError, "code" | "details"> | null {
  try {
    ask();
    return null;
  } catch (error) {
    const { code, details } = LastgoodError.from(error);
    return { code, details };
  }
}

test("as many requests as it takes, and the next one when one has left", () => {
  const bound = new RequestBound(2);
  bound.enter();
  bound.enter();
  expect(refusal(() => bound.enter())).toMatchObject({ code: "overloaded" });
  expect(bound.pending).toBe(2);
  bound.leave();
  expect(refusal(() => bound.enter())).toBeNull();
});

test("a request is held until its answer, whichever way it ends", async () => {
  const bound = new RequestBound(1);
  const gate = Promise.withResolvers<string>();
  const held = bound.hold(() => gate.promise);
  await expect(bound.hold(async () => "never asked")).rejects.toMatchObject({ code: "overloaded" });
  gate.resolve("answer");
  expect(await held).toBe("answer");
  await expect(bound.hold(() => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  expect(bound.pending).toBe(0);
});

test("once closed it takes nothing, and says that it is nobody's failure", () => {
  const bound = new RequestBound(1);
  bound.close();
  const refused = { code: "runtime.unavailable", details: { unloaded: true } };
  expect(refusal(() => bound.enter())).toMatchObject(refused);
});
