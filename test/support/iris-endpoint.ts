import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";

import { expect } from "vitest";

import type { EndpointView, HistoryEntry, RolledBack } from "../../src/core/api/index.ts";
import { gatewayStatusSchema, type GatewayStatus } from "../../src/link/message/index.ts";
import { connectPeer, ownIdentity } from "../../src/link/peer/index.ts";
import { Load, oipBody, type Answer } from "./load.ts";
import { heldOutRows } from "./rows.ts";
import { example, until, type TestServer } from "./server.ts";

/** The endpoint that `deployIris` makes. */
export const ENDPOINT = "iris-prod";
/** Who does things in these tests. */
export const TESTER = { actor: "tester", reason: null } as const;

const INFER = `/v2/models/${ENDPOINT}/infer`;
const bodies = heldOutRows("iris").map((row) => oipBody(row.features));

/** Registers iris v1.0 and v1.1 and deploys them: v1.0 is stable, v1.1 serves and bakes. */
export async function deployIris(server: TestServer): Promise<void> {
  await registerIris(server, "v1.0");
  await registerIris(server, "v1.1");
  await server.client.deploy({ ...TESTER, reference: "iris@v1.0" });
  await goForward(server);
}

async function registerIris(server: TestServer, name: string): Promise<void> {
  const bytes = new Uint8Array(readFileSync(example(`iris/${name}.onnx`)));
  const { digest } = await server.client.upload(bytes);
  const files = [{ path: "model.onnx", digest }];
  await server.client.register("iris", { name, files, actor: TESTER.actor });
}

/** Puts v1.1 in the place of v1.0 again; a rollback then goes to v1.0, warm. */
export async function goForward(
  server: TestServer,
  strategy: "blueGreen" | "recreate" = "blueGreen",
): Promise<void> {
  await server.client.deploy({ ...TESTER, reference: "iris@v1.1", force: true, strategy });
  await settledOn(server, "v1.1");
}

/** Requests to the endpoint, `concurrency` at any time. */
export function irisLoad(server: TestServer, concurrency = 64, pauseMs = 5): Load {
  return new Load({ url: `${server.serveUrl}${INFER}`, bodies, concurrency, pauseMs });
}

/** What the gateway serves, asked on its own socket: the control plane is not needed. */
export async function gatewayStatus(server: TestServer): Promise<GatewayStatus> {
  const { socketFolder } = JSON.parse(
    readFileSync(join(server.dataDir, "server.json"), "utf8"),
  ) as { socketFolder: string };
  const peer = await connectPeer(join(socketFolder, "gateway.sock"), {
    self: ownIdentity("cli", "test", server.dataDir),
    onRequest: () => ({ body: null }),
  });
  try {
    const reply = await peer.request("gateway.status", {}, { timeoutMs: 5_000 });
    return gatewayStatusSchema.parse(reply.body);
  } finally {
    peer.close();
  }
}

/** One request on a connection of its own; null when it got no answer. */
export function askOnce(server: TestServer): Promise<Pick<Answer, "status" | "version"> | null> {
  return new Promise((resolve) => {
    const outgoing = request(
      `${server.serveUrl}${INFER}`,
      { method: "POST", agent: false, headers: { "content-type": "application/json" } },
      (incoming) => {
        const version = incoming.headers["x-lastgood-version"];
        incoming.resume();
        incoming.once("error", () => resolve(null));
        incoming.once("end", () =>
          resolve({
            status: incoming.statusCode ?? null,
            version: typeof version === "string" ? version : null,
          }),
        );
      },
    );
    outgoing.once("error", () => resolve(null));
    outgoing.end(bodies[0]);
  });
}

/** The versions that answer `count` new connections, which the system spreads over the workers. */
export async function answeringVersions(
  server: TestServer,
  count = 16,
): Promise<readonly string[]> {
  const answers = await Promise.all(Array.from({ length: count }, () => askOnce(server)));
  const versions = answers.map((answer) =>
    answer?.status === 200
      ? (answer.version ?? "unknown")
      : `failed: ${answer?.status ?? "dropped"}`,
  );
  return [...new Set(versions)].toSorted();
}

/** The version that the gateway's route (or an override above it) gives all traffic to. */
function routedVersion(status: GatewayStatus): string {
  const route = status.routes.find((each) => each.endpoint === ENDPOINT);
  const override = status.overrides.findLast((each) => each.endpoint === ENDPOINT);
  const arms =
    override === undefined ? route?.split.arms : [{ revision: override.to, weight: 100 }];
  const [only, ...others] = arms ?? [];
  if (only === undefined || others.length > 0) return JSON.stringify(arms);
  const served = route?.revisions.find((each) => each.revision === only.revision);
  return served?.version.name ?? `revision ${only.revision}`;
}

/** What store, gateway and callers say of the endpoint. */
export interface Agreement {
  readonly view: EndpointView;
  readonly history: readonly HistoryEntry[];
  readonly gateway: GatewayStatus;
}

/**
 * Waits until store, gateway and callers agree that the version serves alone, nothing is on its way,
 * and the gateway knows the newest history head; then verifies the history.
 */
export function settledOn(
  server: TestServer,
  version: string,
  timeoutMs?: number,
): Promise<Agreement> {
  return settled(server, (serving) => serving === version, timeoutMs);
}

/** Waits for the same agreement on whatever version serves. */
export async function settled(
  server: TestServer,
  isExpected: (version: string) => boolean = () => true,
  timeoutMs?: number,
): Promise<Agreement> {
  const said = { store: "", gateway: "", callers: "" };
  try {
    return await until(
      "store, gateway and callers agree",
      async () => {
        const view = await server.client.endpoint(ENDPOINT);
        const version = view.current?.version ?? "nothing";
        const phase = view.rollout?.phase ?? "Idle";
        said.store = `${view.split.map((arm) => `${arm.version} ${arm.weight}`).join(", ")} ${phase}`;
        const gateway = await gatewayStatus(server);
        const route = gateway.routes.find((each) => each.endpoint === ENDPOINT);
        said.gateway = `${routedVersion(gateway)}, ${gateway.overrides.length} overrides`;
        said.callers = (await answeringVersions(server)).join(", ");
        const agrees =
          isExpected(version) &&
          (said.store === `${version} 100 Idle` || said.store === `${version} 100 Baking`) &&
          said.gateway === `${version}, 0 overrides` &&
          said.callers === version &&
          route?.historyHead === view.historyHead;
        if (!agrees) return null;
        const { entries, head } = await server.client.history(ENDPOINT);
        const verified = await server.client.verifyHistory(ENDPOINT, null);
        expect(verified).toMatchObject({ ok: true, problem: null, head: view.historyHead });
        expect(head).toBe(view.historyHead);
        return { view, history: entries, gateway };
      },
      timeoutMs,
    );
  } catch (cause) {
    throw new Error(`not settled: ${JSON.stringify(said)}\n${server.output}`, { cause });
  }
}

/** The entries of the history that say that a rollback is done. */
export function rollbacksIn(history: readonly HistoryEntry[]): readonly HistoryEntry[] {
  return history.filter((entry) => entry.kind === "rollback.completed");
}

/** A rollback typed at a terminal, with its answer; it has to succeed. */
export async function typeRollback(
  server: TestServer,
  ...args: readonly string[]
): Promise<{ readonly answer: RolledBack; readonly tookMs: number; readonly stderr: string }> {
  const startedAt = performance.now();
  const result = await server.cli(["rollback", ...args, "--json"]);
  const tookMs = performance.now() - startedAt;
  if (result.code !== 0)
    throw new Error(`rollback ended with ${result.code}: ${result.stdout}${result.stderr}`);
  return { answer: JSON.parse(result.stdout) as RolledBack, tookMs, stderr: result.stderr };
}

/** Pids of the model processes that the gateway has loaded, by revision. */
export async function modelPids(server: TestServer): Promise<ReadonlyMap<number, number>> {
  const { revisions } = await gatewayStatus(server);
  return new Map(
    revisions.flatMap(({ revision, state, pid }) =>
      state === "ready" && pid !== null ? [[revision, pid] as const] : [],
    ),
  );
}
