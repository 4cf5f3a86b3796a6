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

function mistake(text: string): string {
  const path = serverYaml(text);
  try {
    readServerYaml(path);
  } catch (error) {
    const { code, message } = LastgoodError.from(error);
    expect(code).toBe("config.invalid");
    return message.replace(path, "server.yaml");
  }
  throw new Error("it was accepted");
}

test("remotes are read with their defaults", () => {
  const path = serverYaml("remotes:\n  tf-1: {url: 'http://127.0.0.1:9', protocol: oip}\n");
  expect(readServerYaml(path)).toEqual({
    remotes: { "tf-1": { url: "http://127.0.0.1:9", protocol: "oip", retries: false } },
  });
  expect(readServerYaml(null)).toEqual({ remotes: {} });
  expect(readServerYaml(serverYaml("# nothing yet\n"))).toEqual({ remotes: {} });
});

test("a mistake is named with its line and column", () => {
  expect(mistake("remotes:\n  tf-1:\n    url: 'ftp://x'\n    protocol: oip\n")).toBe(
    "server.yaml:3:10: remotes.tf-1.url: must be an http or https URL",
  );
  expect(mistake("remotes:\n  tf-1: [\n")).toMatch(/^server\.yaml:3:1: /);
  expect(mistake("remotes: {}\nremote: {}\n")).toBe('server.yaml:1:1: Unrecognized key: "remote"');
  expect(mistake("remotes: {}\nremotes: {}\n")).toMatch(/^server\.yaml:2:1: /);
});

test("a file that is not there is named", () => {
  expect(() => readServerYaml(join(folder, "none.yaml"))).toThrow(/none\.yaml cannot be read/);
});

test("the user's file gives texts by key, and unknown keys are refused", () => {
  const env = { XDG_CONFIG_HOME: folder };
  expect(readUserFile(env).values).toEqual({});
  mkdirSync(join(folder, "lastgood"));
  writeFileSync(join(folder, "lastgood", "config.yaml"), "workers: 4\nactor: me\n");
  expect(readUserFile(env).values).toEqual({ workers: "4", actor: "me" });
  writeFileSync(join(folder, "lastgood", "config.yaml"), "wrokers: 4\n");
  expect(() => readUserFile(env)).toThrow(/wrokers/);
});
