import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { readServerYaml } from "./server-yaml.ts";
import { readUserFile } from "./user-file.ts";

const folder = mkdtempSync(join(tmpdir(), "lastgood-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function serverYaml(text: string): string {
  const path = join(folder, "server.yaml");
  writeFileSync(path, text);
  return path;
}

async function mistake(text: string): Promise<string> {
  const path = serverYaml(text);
  try {
    await readServerYaml(path);
  } catch (error) {
    const { code, message } = LastgoodError.from(error);
    return code === "config.invalid" ? message.replace(path, "server.yaml") : code;
  }
  throw new Error("it was accepted");
}

test("remotes are read with their defaults", async () => {
  const path = serverYaml("remotes:\n  tf-1: {url: 'http://127.0.0.1:9', protocol: oip}\n");
  expect(await readServerYaml(path)).toEqual({
    remotes: { "tf-1": { url: "http://127.0.0.1:9", protocol: "oip", retries: false } },
  });
  expect(await readServerYaml(null)).toEqual({ remotes: {} });
  expect(await readServerYaml(serverYaml("# nothing yet\n"))).toEqual({ remotes: {} });
});

test("a mistake is named with its line and column", async () => {
  expect(await mistake("remotes:\n  tf-1:\n    url: 'ftp://x'\n    protocol: oip\n")).toBe(
    "server.yaml:3:10: remotes.tf-1.url: must be an http or https URL",
  );
  expect(await mistake("remotes:\n  tf-1: [\n")).toMatch(/^server\.yaml:3:1: /);
  expect(await mistake("remotes: {}\nremote: {}\n")).toBe(
    'server.yaml:2:1: Unrecognized key: "remote"',
  );
  expect(await mistake("remotes: {}\nremotes: {}\n")).toMatch(/^server\.yaml:2:1: /);
});

test("a file that is not there is named", async () => {
  await expect(readServerYaml(join(folder, "none.yaml"))).rejects.toThrow(
    /none\.yaml cannot be read/,
  );
});

test("the user's file gives texts by key, and unknown keys are refused", async () => {
  const env = { XDG_CONFIG_HOME: folder };
  expect((await readUserFile(env)).values).toEqual({});
  mkdirSync(join(folder, "lastgood"));
  writeFileSync(join(folder, "lastgood", "config.yaml"), "workers: 4\nactor: me\n");
  expect((await readUserFile(env)).values).toEqual({ workers: "4", actor: "me" });
  writeFileSync(join(folder, "lastgood", "config.yaml"), "wrokers: 4\n");
  await expect(readUserFile(env)).rejects.toThrow(/wrokers/);
});
