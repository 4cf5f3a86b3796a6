import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import {
  createSecureServer,
  createServer as createHttp2,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer as createTcp, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import { metricOf, SignalsStage } from "../../../test/support/signals-stage.ts";
import { NO_SIGNAL_SOURCES, type HealthCheck, type Metric } from "../../core/policy/index.ts";
import type { HealthState } from "./health-source.ts";

const metric = metricOf({ kind: "health", name: "shop", source: "shop", failures: 3 });
const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function stageWith(check: Partial<HealthCheck>): Promise<SignalsStage> {
  const none = { http: null, grpc: null, tls: false, ca: null, command: null };
  const shop = { ...none, every: 20, timeout: 10_000, ...check };
  const stage = new SignalsStage({ sources: { ...NO_SIGNAL_SOURCES, health: { shop } } });
  await stage.open();
  ends.push(() => stage.end());
  return stage;
}

/** The state once so many checks have ended as they should. */
async function settled(
  stage: SignalsStage,
  is: (state: HealthState) => boolean,
): Promise<HealthState> {
  for (let tries = 0; tries < 300; tries += 1) {
    const [state] = stage.signals.healthState(stage.watched([metric]));
    if (state !== undefined && state.at !== null && is(state)) return state;
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  throw new Error(JSON.stringify(stage.signals.healthState(stage.watched([metric]))));
}

const failed = ({ why }: HealthState): boolean => why !== null;
const fine = ({ why }: HealthState): boolean => why === null;

async function listening(server: Server | Http2Server | Http2SecureServer): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  ends.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

test("2xx is healthy; failures in a row are counted and begin anew, and each check counts once", async () => {
  let status = 204;
  const paths = new Set<string | undefined>();
  const server = createServer((request, response) => {
    paths.add(request.url);
    const now = request.url?.includes("/1/") === true ? 200 : status;
    response.writeHead(now, now === 302 ? { location: "/elsewhere" } : {}).end();
  });
  const port = await listening(server);
  const stage = await stageWith({
    http: `http://127.0.0.1:${port}/{{endpoint}}/{{revision}}/{{version}}`,
  });
  const watched = stage.watched([metric], { candidateVersion: "v 1/1" });
  expect(stage.signals.healthState(watched)).toMatchObject([
    { consecutiveFailures: 0, failures: 3 },
  ]);
  await settled(stage, fine);
  status = 500;
  const bad = await settled(stage, ({ consecutiveFailures }) => consecutiveFailures >= 3);
  expect(bad).toMatchObject({ metric: "shop", source: "shop", why: "it answers HTTP 500" });
  const first = await stage.collect(watched);
  const seen = first.signals["shop"]?.candidate ?? { observations: 0, bad: 0 };
  expect(seen.bad).toBeGreaterThanOrEqual(3);
  expect(seen.observations).toBeGreaterThan(seen.bad);
  expect(first.signals["shop"]?.stable.observations).toBeGreaterThanOrEqual(3);
  expect(first.signals["shop"]?.stable.bad).toBe(0);
  expect(first.signals["shop"]?.failure).toEqual({
    candidate: "it answers HTTP 500",
    stable: null,
  });
  await stage.confirm(first);
  status = 302;
  await settled(stage, ({ why }) => why === "it answers HTTP 302");
  status = 200;
  await settled(stage, fine);
  const [state] = stage.signals.healthState(watched);
  expect(state?.consecutiveFailures).toBe(0);
  const rest = await stage.take(watched);
  expect(rest["shop"]?.candidate.observations).toBeLessThan(seen.observations + 40);
  expect(paths).toEqual(new Set(["/fraud-prod/1/v1.0", "/fraud-prod/2/v%201%2F1"]));
});

test("what asks each revision asks stable as well: an outage fails both", async () => {
  const server = createServer((_, response) => response.writeHead(500).end());
  const port = await listening(server);
  const stage = await stageWith({ http: `http://127.0.0.1:${port}/{{revision}}` });
  const watched = stage.watched([metric]);
  await settled(stage, ({ consecutiveFailures }) => consecutiveFailures >= 5);
  const { shop } = await stage.take(watched);
  expect(shop?.candidate.bad).toBeGreaterThanOrEqual(3);
  expect(shop?.stable.bad).toBeGreaterThanOrEqual(3);
});

test("what tells nobody apart says nothing of the candidate until it was healthy once", async () => {
  let status = 500;
  const server = createServer((_, response) => response.writeHead(status).end());
  const port = await listening(server);
  const stage = await stageWith({ http: `http://127.0.0.1:${port}/` });
  const watched = stage.watched([metric]);
  await settled(stage, ({ consecutiveFailures }) => consecutiveFailures >= 5);
  const before = await stage.take(watched);
  expect(before["shop"]).toMatchObject({
    broken: "shop failed before it was healthy once: it answers HTTP 500",
    candidate: { observations: 0, bad: 0 },
  });
  status = 200;
  await settled(stage, fine);
  expect((await stage.take(watched))["shop"]?.candidate.bad).toBe(0);
  // Another control plane knows that it was.
  await stage.restart();
  status = 500;
  // Before its first check there is nothing to tell, not even that it is read again.
  expect(await stage.take({ ...watched, broken: ["shop"] })).toEqual({});
  await settled(stage, ({ consecutiveFailures }) => consecutiveFailures >= 3);
  const { shop } = await stage.take(watched);
  expect(shop?.broken).toBeNull();
  expect(shop?.candidate.bad).toBeGreaterThanOrEqual(3);
});

test("a refused connection and a server that never answers are failures that say so", async () => {
  const refused = await stageWith({ http: "http://127.0.0.1:1/" });
  expect((await settled(refused, failed)).why).toMatch(/ECONNREFUSED|bad port/);
  const mute = createTcp(() => undefined);
  await new Promise<void>((resolve) => {
    mute.listen(0, "127.0.0.1", resolve);
  });
  ends.push(() => mute.close());
  const { port } = mute.address() as AddressInfo;
  const hangs = await stageWith({ http: `http://127.0.0.1:${port}/`, timeout: 100 });
  expect((await settled(hangs, failed)).why).toBe("no answer within 100 ms");
  const silent = await stageWith({ grpc: `127.0.0.1:${port}`, timeout: 100 });
  expect((await settled(silent, failed)).why).toBe("no answer within 100 ms");
});

/** A server of the gRPC health protocol whose statuses are bytes of the response message. */
async function grpcServer(
  statuses: ReadonlyMap<string, number | null>,
  server: Http2Server | Http2SecureServer = createHttp2(),
): Promise<number> {
  const answer = (stream: ServerHttp2Stream, service: string): void => {
    const status = statuses.get(service);
    if (status === undefined) {
      stream.respond(
        {
          ":status": 200,
          "content-type": "application/grpc",
          "grpc-status": "5",
          "grpc-message": "unknown service",
        },
        { endStream: true },
      );
      return;
    }
    const message = status === null ? [] : [0x08, status];
    stream.respond(
      { ":status": 200, "content-type": "application/grpc" },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.from([0, 0, 0, 0, message.length, ...message]));
  };
  server.on("stream", (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const message = Buffer.concat(chunks).subarray(5);
      const isCheck = headers[":path"] === "/grpc.health.v1.Health/Check";
      if (isCheck) answer(stream, message.subarray(message.length < 130 ? 2 : 3).toString());
      else stream.respond({ ":status": 404 }, { endStream: true });
    });
  });
  return listening(server);
}

test("the gRPC health protocol is spoken, for the server and for a service of it", async () => {
  const long = "s".repeat(180);
  const statuses = new Map<string, number | null>([
    ["", 1],
    ["shop.Cart", 2],
    ["shop.Pay", null],
    [long, 1],
  ]);
  const port = await grpcServer(statuses);
  const check = async (service: string): Promise<string | null> => {
    const stage = await stageWith({ grpc: `127.0.0.1:${port}${service}` });
    return (await settled(stage, () => true)).why;
  };
  expect(await check("")).toBeNull();
  expect(await check(`/${long}`)).toBeNull();
  expect(await check("/shop.Cart")).toBe("gRPC health NOT_SERVING");
  expect(await check("/shop.Pay")).toBe("gRPC health UNKNOWN");
  expect(await check("/shop.None")).toBe("gRPC status 5: unknown service");
});

const pem = (name: string): string => join(import.meta.dirname, "../../../test/fixtures/tls", name);

test("over TLS it is serving only where its certificate is trusted", async () => {
  const options = { cert: readFileSync(pem("cert.pem")), key: readFileSync(pem("key.pem")) };
  const port = await grpcServer(new Map([["", 1]]), createSecureServer(options));
  const why = async (check: Partial<HealthCheck>): Promise<string | null> => {
    const stage = await stageWith({ grpc: `127.0.0.1:${port}`, ...check });
    return (await settled(stage, () => true)).why;
  };
  expect(await why({ ca: pem("cert.pem") })).toBeNull();
  expect(await why({ tls: true })).toMatch(/self-signed certificate/);
  expect(await why({ ca: pem("none.pem") })).toMatch(/ENOENT/);
  expect(await why({})).not.toBeNull();
});

test("a server that speaks no gRPC is not serving", async () => {
  const plain = createServer((_, response) => response.end("hello"));
  const port = await listening(plain);
  const stage = await stageWith({ grpc: `127.0.0.1:${port}` });
  expect((await settled(stage, failed)).why).toMatch(/Protocol error|ERR_HTTP2|not as a gRPC/i);
  const gone = await stageWith({ grpc: "127.0.0.1:1" });
  expect((await settled(gone, failed)).why).toMatch(/ECONNREFUSED/);
});

test("a program's exit code is its health; it knows the revision, and no shell reads its words", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lg-check-"));
  ends.push(() => rmSync(folder, { recursive: true }));
  const script = join(folder, "check.cjs");
  writeFileSync(
    script,
    `const { LASTGOOD_ENDPOINT, LASTGOOD_REVISION, LASTGOOD_VERSION } = process.env;
     console.error("warming up");
     console.error([LASTGOOD_ENDPOINT, LASTGOOD_REVISION, LASTGOOD_VERSION, process.argv[2]].join(" "));
     process.exit(Number(process.argv[3]));`,
  );
  const program = [process.execPath, script, "$(id) ; *"];
  const good = await stageWith({ command: [...program, "0"] });
  expect((await settled(good, () => true)).why).toBeNull();
  const bad = await stageWith({ command: [...program, "3"] });
  expect((await settled(bad, failed)).why).toBe("exit code 3: fraud-prod 2 v1.1 $(id) ; *");
  const none = await stageWith({ command: [join(folder, "none")] });
  expect((await settled(none, failed)).why).toMatch(/ENOENT/);
});

test("a program that hangs is killed with what it started", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lg-check-"));
  ends.push(() => rmSync(folder, { recursive: true }));
  const pids = join(folder, "pids");
  const text = `sleep 600 & echo $! >> ${pids}; wait`;
  const stage = await stageWith({ command: ["/bin/sh", "-c", text], timeout: 300, every: 60_000 });
  expect((await settled(stage, failed)).why).toBe("no answer within 300 ms");
  const pid = Number(readFileSync(pids, "utf8").trim());
  const isThere = (): boolean => {
    try {
      return !/^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
    } catch {
      return false;
    }
  };
  for (let tries = 0; tries < 100 && isThere(); tries += 1) {
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  expect(isThere()).toBe(false);
});

test("a check that server.yaml does not name is broken", async () => {
  const stage = await stageWith({ http: "http://127.0.0.1:1/" });
  const other = { ...metric, source: "other" } as Metric;
  const seen = await stage.take(stage.watched([other]));
  expect(seen["shop"]?.broken).toBe('server.yaml names no health check "other"');
  expect(stage.signals.healthState(stage.watched([other]))).toEqual([]);
});
