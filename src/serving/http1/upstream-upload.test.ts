import { PassThrough } from "node:stream";

import { expect, test } from "vitest";

import { Upload } from "./upstream-upload.ts";

async function failuresAfter(
  act: (upload: Upload, source: PassThrough) => void,
): Promise<string[]> {
  const failures: string[] = [];
  const source = new PassThrough();
  const upload = new Upload(source, null, {
    write: () => true,
    onWait: () => undefined,
    onFail: (why) => failures.push(why),
  });
  act(upload, source);
  source.destroy(new Error("its caller is gone"));
  await new Promise((resolve) => source.once("close", resolve));
  return failures;
}

test("a body that breaks off fails its request, and none that the connection takes after it", async () => {
  expect(await failuresAfter(() => undefined)).toContain("the request broke off");
  expect(await failuresAfter((upload) => upload.leave())).toEqual([]);
});
