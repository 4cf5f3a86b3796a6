import { Readable } from "node:stream";

import { expect, test } from "vitest";

import type { Fetch } from "../../client/index.ts";
import { MlflowClient } from "./mlflow-client.ts";

/** A client of a server that answers each request with what `answer` makes of its URL. */
function clientOf(answer: (url: URL) => object): MlflowClient {
  const fetch: Fetch = (url) => {
    const text = JSON.stringify(answer(new URL(url)));
    return Promise.resolve({
      ok: true,
      status: 200,
      body: Readable.from([Buffer.from(text)]),
      text: () => Promise.resolve(text),
    });
  };
  return new MlflowClient({ url: "http://mlflow.example", fetch, headers: {} });
}

test("folders without an end are given up", async () => {
  const endless = clientOf(() => ({ files: [{ path: "again", is_dir: true }] }));
  await expect(endless.files("root")).rejects.toMatchObject({ code: "artifact.invalid" });
});

test("pages are read to the last; one without versions is the last, whatever it says", async () => {
  let pages = 0;
  const client = clientOf(() => {
    pages += 1;
    const versions = pages > 2 ? [] : [{ version: String(3 - pages) }];
    return { model_versions: versions, next_page_token: "more" };
  });
  const versions = await client.versions("fraud");
  expect(versions.map(({ version }) => version)).toEqual(["1", "2"]);
  expect(pages).toBe(3);
});
