import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import { BUILT_IN_LAUNCHERS } from "../../core/launcher/index.ts";
import { NO_SIGNAL_SOURCES } from "../../core/policy/index.ts";
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
    launchers: BUILT_IN_LAUNCHERS,
    maxFileBytes: 64 * 2 ** 30,
    errorInputs: "none",
    signals: NO_SIGNAL_SOURCES,
  });
  const nothing = {
    remotes: {},
    launchers: BUILT_IN_LAUNCHERS,
    maxFileBytes: 64 * 2 ** 30,
    errorInputs: "none",
    signals: NO_SIGNAL_SOURCES,
  };
  expect(await readServerYaml(null)).toEqual(nothing);
  expect(await readServerYaml(serverYaml("# nothing yet\n"))).toEqual(nothing);
});

test("the longest file is the configuration's to say", async () => {
  const path = serverYaml("uploads: { maxFile: 3GiB }\n");
  expect((await readServerYaml(path)).maxFileBytes).toBe(3 * 2 ** 30);
});

async function kept(text: string): Promise<string> {
  return (await readServerYaml(serverYaml(text))).errorInputs;
}

test("whether inputs are kept for incidents is the configuration's to say", async () => {
  expect(await kept("incidents: { inputs: redacted }\n")).toBe("redacted");
  expect(await kept("incidents: { inputs: none }\n")).toBe("none");
  expect(await kept("incidents: {}\n")).toBe("none");
  expect(await mistake("incidents:\n  inputs: exact\n")).toBe(
    "server.yaml:2:11: incidents.inputs: is exact: accepted are none, redacted",
  );
  expect(await mistake("incidents: { keep: redacted }\n")).toContain("server.yaml:1:");
});

test("launchers are added to the built-in ones, which the file may change", async () => {
  const path = serverYaml(`
launchers:
  mlflow: {python: /opt/python/bin/python3, startTimeout: 5m, memory: 2GiB}
  torch: {command: [bin/serve.sh, '--port={port}'], protocol: json, path: /score, env: {HOME: '{folder}'}}
  old: {from: mlflow, environment: none}
`);
  const { launchers } = await readServerYaml(path);
  const { mlflow } = BUILT_IN_LAUNCHERS;
  expect(Object.keys(launchers)).toEqual([
    "mlflow",
    "mlflow-passthrough",
    "python",
    "bentoml",
    "torch",
    "old",
  ]);
  expect(launchers["mlflow"]).toEqual({
    ...mlflow,
    python: "/opt/python/bin/python3",
    startTimeoutMs: 300_000,
    memoryBytes: 2 ** 31,
  });
  // The same program, whose requests are passed on unread.
  expect(launchers["mlflow-passthrough"]).toEqual({
    ...launchers["mlflow"],
    protocol: "passthrough",
    health: "/ping",
  });
  expect(launchers["torch"]).toMatchObject({
    command: [join(folder, "bin/serve.sh"), "--port={port}"],
    protocol: "json",
    model: "torch",
    path: "/score",
    retries: false,
    environment: "none",
    env: { HOME: "{folder}" },
  });
  expect(launchers["old"]).toEqual({ ...mlflow, environment: "none" });
});

test("what a launcher cannot be is named with its place", async () => {
  const cases = [
    [
      "launchers:\n  own: {protocol: oip}\n",
      /^server.yaml:2:8: launchers.own: needs a command, or from: /,
    ],
    [
      "launchers:\n  own: {command: ['{prot}']}\n",
      /^server.yaml:2:19: launchers.own.command.0: \{prot\} means nothing; there are \{port\}/,
    ],
    [
      "launchers:\n  own: {command: [x], protocol: grpc}\n",
      /^server.yaml:2:33: launchers.own.protocol: /,
    ],
    ["launchers:\n  own: {command: [x], cmd: y}\n", /^server.yaml:2:23: launchers.own: .*cmd/],
    ["launchers:\n  own: {command: [x], memory: lots}\n", /512MB/],
    ["launchers:\n  own: {command: [x], stopTimeout: 1m}\n", /from 0 to 8s/],
    ["launchers:\n  own: {command: [x], requirements: ../up.txt}\n", /inside the version/],
    ["launchers:\n  own: {from: tomcat}\n", /launchers.own.from/],
  ] as const;
  for (const [text, expected] of cases) expect(await mistake(text)).toMatch(expected);
});

test("sources of evidence are read with their defaults, and their paths begin at the file's folder", async () => {
  const path = serverYaml(`
prometheus:
  main: {url: 'http://127.0.0.1:9090', tokenEnv: PROM_TOKEN, every: 15s}
logs:
  app: {files: [logs/*.log, /var/log/app.log], format: json, version: model.version}
  models: {models: true, format: regex, error: '\\bError\\b'}
health:
  web: {http: 'http://127.0.0.1:81/ok?revision={{revision}}'}
  rpc: {grpc: '127.0.0.1:81/shop.Cart', every: 1m}
  own: {command: [checks/shop.sh, --fast], timeout: 10s}
  node: {command: [node, check.js]}
`);
  const { signals } = await readServerYaml(path);
  expect(signals.prometheus["main"]).toEqual({
    url: "http://127.0.0.1:9090",
    tokenEnv: "PROM_TOKEN",
    every: 15_000,
    timeout: 5_000,
  });
  expect(signals.logs["app"]).toMatchObject({
    files: [join(folder, "logs/*.log"), "/var/log/app.log"],
    level: "level",
    version: "model.version",
  });
  expect(signals.logs["models"]).toMatchObject({ files: null, models: true });
  const { web, rpc, own, node } = signals.health;
  expect([web?.every, web?.timeout, rpc?.every]).toEqual([10_000, 5_000, 60_000]);
  expect(own?.command).toEqual([join(folder, "checks/shop.sh"), "--fast"]);
  expect(node?.command).toEqual(["node", "check.js"]);
});

test.each([
  [
    "prometheus:\n  p: {url: 'file:///x'}\n",
    "2:12: prometheus.p.url: must be an http or https URL",
  ],
  [
    "prometheus:\n  p: {url: 'http://x', token: s3cret}\n",
    '2:24: prometheus.p: has an unknown key "token": did you mean tokenEnv? accepted are url,',
  ],
  ["prometheus:\n  p: {url: 'http://x', every: 5}\n", "2:31: prometheus.p.every: is not a time"],
  [
    "logs:\n  l: {files: [a], format: regex, error: '('}\n",
    "2:41: logs.l.error: is not a regular expression",
  ],
  ["logs:\n  l: {format: json}\n", "2:6: logs.l: needs either files, or models: true"],
  ["logs:\n  l: {files: [a], format: xml}\n", "logs.l.format"],
  ["health:\n  h: {http: 'http://{{version}}/'}\n", "2:13: health.h.http: {{…}} may not stand in"],
  ["health:\n  h: {grpc: 'http://x:1'}\n", "2:13: health.h.grpc: must be host:port"],
  ["health:\n  h: {command: 'rm -rf /'}\n", "health.h.command"],
  ["health:\n  h: {http: 'http://x', grpc: 'x:1'}\n", "2:6: health.h: needs exactly one of http"],
])("%j is refused with its place", async (text, why) => {
  expect(await mistake(text)).toContain(why);
});

test("a mistake is named with its line and column", async () => {
  expect(await mistake("remotes:\n  tf-1:\n    url: 'ftp://x'\n    protocol: oip\n")).toBe(
    "server.yaml:3:10: remotes.tf-1.url: must be an http or https URL",
  );
  expect(await mistake("remotes:\n  tf-1: [\n")).toMatch(/^server\.yaml:3:1: /);
  expect(await mistake("remotes: {}\nremote: {}\n")).toBe(
    'server.yaml:2:1: has an unknown key "remote": did you mean remotes? accepted are remotes, launchers, uploads, incidents, prometheus, logs, health',
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

test("a place is right behind a byte order mark, and that of a name that stands for nothing", async () => {
  expect(await mistake("\uFEFFremote: {}\n")).toMatch(
    /^server\.yaml:1:1: has an unknown key "remote"/,
  );
  expect(await mistake("health:\n  web: *nothing\n")).toBe(
    "server.yaml:2:8: nothing before it is called &nothing",
  );
  const known = "health:\n  a: &a {http: 'http://127.0.0.1:9/'}\n  b: *a\n";
  const { signals } = await readServerYaml(serverYaml(known));
  expect(signals.health["b"]).toEqual(signals.health["a"]);
});

test("keys that are no text and values of another kind of tag are refused where they are", async () => {
  expect(await mistake("? [a, b]\n: c\n")).toBe("server.yaml:1:3: a key is a text");
  expect(await mistake("health:\n  web: !!binary aGVsbG8=\n")).toBe(
    "server.yaml:2:8: Unresolved tag: tag:yaml.org,2002:binary",
  );
});
