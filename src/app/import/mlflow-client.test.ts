import { Readable } from "node:stream";

import { expect, test } from "vitest";

import type { Fetch } from "../../client/index.ts";
import { MlflowClient } from "./mlflow-client.ts";

/** A server that answers everything alike, and what it was asked. */
function always(status: number, text: string): { readonly client: MlflowClient; asked: URL[] } {
  const asked: URL[] = [];
  const fetch: Fetch = (url) => {
    asked.push(new URL(url));
    const ok = status < 300;
    return Promise.resolve({ ok, status, body: Readable.from([]), text: async () => text });
  };
  return { client: new MlflowClient({ url: "http://mlflow:5000/", fetch, headers: {} }), asked };
}

test.each([
  ["fraud", "name='fraud'"],
  ["quo'te", `name="quo'te"`],
])("a model is asked for by its name as MLflow's filters read it: %s", async (model, filter) => {
  const { client, asked } = always(200, "{}");
  expect(await client.versions(model)).toEqual([]);
  expect(asked[0]?.searchParams.get("filter")).toBe(filter);
});

test.each([
  ["another server's page", 404, "<html>"],
  ["another server's error", 404, '{"error_code": "ENDPOINT_NOT_FOUND"}'],
  ["a login page", 200, "<html>"],
  ["the way to another address", 302, ""],
])("where no MLflow is, the answer says what --from is: %s", async (_, status, text) => {
  await expect(always(status, text).client.versions("fraud")).rejects.toMatchObject({
    hint: expect.stringContaining("--from is the address") as string,
  });
});

test("MLflow's own refusal is no question of the address", async () => {
  const { client } = always(404, '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "gone"}');
  await expect(client.versions("fraud")).rejects.toMatchObject({
    message: expect.stringContaining("gone") as string,
    hint: expect.not.stringContaining("--from is the address") as string,
  });
});

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
