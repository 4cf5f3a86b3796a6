import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { findSetting, requireSetting, resolveSetting, type Sources } from "./resolve.ts";
import { SETTINGS } from "./settings.ts";

const file = { path: "/home/me/.config/lastgood/config.yaml", values: { workers: "3" } };
const none: Sources = { flags: {}, env: { HOME: "/home/me" }, file: { ...file, values: {} } };

test("a flag wins over the environment, that over the user's file, that over the default", () => {
  const env = { LASTGOOD_WORKERS: "4" };
  const flags = { workers: "5" };
  expect(requireSetting("workers", { flags, env, file })).toBe(5);
  expect(requireSetting("workers", { flags: {}, env, file })).toBe(4);
  expect(requireSetting("workers", { flags: {}, env: {}, file })).toBe(3);
  expect(requireSetting("workers", none)).toBe(2);
});

test("each value says where it comes from", () => {
  const env = { LASTGOOD_WORKERS: "4" };
  const origins = [
    findSetting("workers", { flags: { workers: "5" }, env, file }),
    findSetting("workers", { flags: {}, env, file }),
    findSetting("workers", { flags: {}, env: {}, file }),
    findSetting("workers", none),
  ].map(({ origin }) => origin);
  expect(origins).toEqual([
    { from: "flag", name: "--workers" },
    { from: "environment", name: "LASTGOOD_WORKERS" },
    { from: "user file", name: file.path },
    { from: "default", name: null },
  ]);
});

test("an empty environment variable counts as not set", () => {
  expect(requireSetting("workers", { ...none, env: { LASTGOOD_WORKERS: "" } })).toBe(2);
});

function dataDir(env: Sources["env"]): string {
  return requireSetting("dataDir", { ...none, env });
}

test("data lies in the XDG folder, and a relative path in its variable is ignored", () => {
  expect(dataDir({ HOME: "/home/me" })).toBe("/home/me/.local/share/lastgood");
  expect(dataDir({ HOME: "/home/me", XDG_DATA_HOME: "/data" })).toBe("/data/lastgood");
  expect(dataDir({ HOME: "/home/me", XDG_DATA_HOME: "data" })).toBe(
    "/home/me/.local/share/lastgood",
  );
});

test("a wrong value names where it was found and what is accepted", () => {
  const sources = { ...none, env: { LASTGOOD_WORKERS: "many" } };
  expect(() => resolveSetting("workers", sources)).toThrow(
    expect.objectContaining({
      code: "config.invalid",
      message: "LASTGOOD_WORKERS: must be a whole number from 1 to 64",
    }),
  );
});

test.each([
  ["127.0.0.1:5001", { host: "127.0.0.1", port: 5001 }],
  ["localhost:0", { host: "localhost", port: 0 }],
  ["[::1]:80", { host: "::1", port: 80 }],
  ["9000", { host: "127.0.0.1", port: 9000 }],
])("the address %s is accepted", (text, address) => {
  expect(requireSetting("apiAddress", { ...none, flags: { apiAddress: text } })).toEqual(address);
});

test.each(["", "127.0.0.1", "127.0.0.1:70000", "a b:1", ":5000", "[::1:80", "127.0.0.1:-1"])(
  "the address %j is refused",
  (text) => {
    expect(() => requireSetting("apiAddress", { ...none, flags: { apiAddress: text } })).toThrow(
      LastgoodError,
    );
  },
);

test.each(["0.0.0.0:5000", "192.168.1.7:5000", "example.com:5000", "[::]:5000"])(
  "%s, which other machines can reach, is refused for want of access tokens",
  (text) => {
    expect(() => requireSetting("apiAddress", { ...none, flags: { apiAddress: text } })).toThrow(
      /access tokens/,
    );
  },
);

test("a server's URL may leave out http://", () => {
  const sources = { ...none, flags: { url: "127.0.0.1:5000" } };
  expect(resolveSetting("url", sources)).toBe("http://127.0.0.1:5000");
});

test("every setting has a flag, a variable and a key of one name", () => {
  for (const { flag, env, key } of Object.values(SETTINGS)) {
    expect(flag).toMatch(new RegExp(`^--${key} <`));
    expect(env).toBe(`LASTGOOD_${key.toUpperCase().replaceAll("-", "_")}`);
  }
});
