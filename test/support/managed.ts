/** Versions that are Python servers: registered from `test/fixtures/python`, called, watched. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Load, oipBody } from "./load.ts";
import { until, type TestServer } from "./server.ts";
import { Stage } from "./stage.ts";

const SERVER = join(import.meta.dirname, "../fixtures/python/serve.py");
const BODIES = Array.from({ length: 50 }, (_, x) => oipBody([x + 1], "x"));

/** A launcher that waits for nothing longer than a test can. */
const LAUNCHER = {
  command: ["{python}", "serve.py"],
  startTimeout: "10s",
  stopTimeout: "500ms",
} as const;

/** Writes a server.yaml with the launchers of these tests and `more`; gives what to start a server with. */
export function managedServers(folder: string, more: object = {}): readonly string[] {
  const launchers = {
    fixture: { ...LAUNCHER, retries: true },
    once: { ...LAUNCHER, retries: false },
    watched: { ...LAUNCHER, retries: true, unhealthyAfter: "1s" },
    small: { ...LAUNCHER, retries: true, memory: "120MB" },
    patient: { ...LAUNCHER, retries: true, startTimeout: "2s" },
  };
  const logs = { models: { models: true, format: "regex", error: "^ERROR" } };
  const path = join(folder, "server.yaml");
  // Every JSON is YAML.
  writeFileSync(path, JSON.stringify({ launchers, logs, ...more }));
  return ["--config", path, "--allow-code"];
}

/** An endpoint whose versions are servers, with callers. */
export class Managed extends Stage {
  readonly load: Load;

  private constructor(server: TestServer, name: string) {
    super(server, name);
    this.load = new Load({ url: this.url, bodies: BODIES, concurrency: 4, pauseMs: 15 });
  }

  /** v1.0 doubles what it is given, is stable and serves. */
  static async start(
    server: TestServer,
    name: string,
    options: {
      readonly policy?: unknown;
      readonly launcher?: string;
      readonly settings?: object;
    } = {},
  ): Promise<Managed> {
    const { launcher = "fixture", settings = {} } = options;
    await registerServer(server, name, { version: "v1.0", launcher, settings });
    if (options.policy !== undefined)
      await server.client.applyPolicy(name, {
        actor: "tester",
        policy: { model: name, ...(options.policy as object) },
      });
    await new Stage(server, name).deploy("v1.0");
    return new Managed(server, name);
  }

  /** Registers the fixture's server with settings of its own. */
  registerServer(version: string, settings: object, launcher = "fixture"): Promise<void> {
    return registerServer(this.server, this.name, { version, launcher, settings });
  }

  /** Deploys as the policy says and waits for the end: its phase and why. */
  async rollsOut(version: string): Promise<string> {
    const { rollout } = await this.deploy(version, { bakeMs: null });
    const ended = await until(
      `the rollout of ${this.name} ends`,
      async () => {
        const { lastRollout } = await this.view();
        return lastRollout?.id === rollout?.id ? lastRollout : null;
      },
      90_000,
    );
    return `${ended.phase}: ${ended.reason ?? ""}`;
  }

  /** The pid of the server of a revision. */
  async pidOf(revision: number): Promise<number> {
    return until(`the server of revision ${revision} is ready`, async () => {
      const state = (await this.loaded()).find((each) => each.revision === revision);
      return state?.state === "ready" ? state.pid : null;
    });
  }

  /** Requests that came after this were answered. */
  async goesOn(count = 100): Promise<void> {
    const before = this.load.answers.length;
    await until("requests go on", () => this.load.answers.length > before + count, 60_000);
  }
}

async function registerServer(
  server: TestServer,
  model: string,
  {
    version,
    launcher,
    settings,
  }: { readonly version: string; readonly launcher: string; readonly settings: object },
): Promise<void> {
  const content = JSON.stringify({ model: "doubling", note: version, ...settings });
  const files: { path: string; digest: string }[] = [];
  for (const [path, bytes] of [
    ["serve.py", readFileSync(SERVER)],
    ["model.json", Buffer.from(content)],
  ] as const) {
    const { digest } = await server.client.upload(new Uint8Array(bytes));
    files.push({ path, digest });
  }
  await server.client.register(model, {
    name: version,
    files,
    runtime: "process",
    launcher,
    inputExample: { inputs: { x: [[1], [2]] } },
    actor: "tester",
  });
}
