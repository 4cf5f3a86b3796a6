/** An API that answers what a test scripts: what the command line makes of each answer. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import type { EndpointView, RolloutAnswer, RolloutView } from "../../src/core/api/index.ts";
import { LastgoodError } from "../../src/core/errors/index.ts";
import { parseDigest, parseEndpointName, parseModelName } from "../../src/core/version/index.ts";
import { runCommandLine, type Ran } from "./command-line.ts";

/** Method and path, and the answers in turn; the last one stays. */
export type Script = Readonly<Record<string, readonly unknown[]>>;

/** Scripted in place of an answer: the request is left open. */
export const NEVER = Symbol("no answer");

/** A server with scripted answers, and the command line that asks it. */
export class ScriptedApi {
  readonly calls: { readonly what: string; readonly query: string; readonly body: unknown }[] = [];
  #script = new Map<string, unknown[]>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        const { pathname, search } = new URL(request.url ?? "/", "http://localhost");
        const what = `${request.method ?? ""} ${decodeURIComponent(pathname).replace("/api/v1", "")}`;
        this.calls.push({ what, query: search, body: text === "" ? null : JSON.parse(text) });
        const answers = this.#script.get(what) ?? [];
        const answer = answers.length > 1 ? answers.shift() : answers[0];
        if (answer === NEVER) return;
        const missing = new LastgoodError("route.not-found", `nothing is scripted for ${what}`);
        const error =
          answer instanceof LastgoodError ? answer : answer === undefined ? missing : null;
        response.writeHead(error?.traits.http ?? 200, { "content-type": "application/json" });
        response.end(JSON.stringify(error?.toBody() ?? answer));
      });
    });
  }

  static async start(): Promise<ScriptedApi> {
    const api = new ScriptedApi();
    await new Promise<void>((done) => api.#server.listen(0, "127.0.0.1", () => done()));
    return api;
  }

  /** Forgets what was asked, and answers by this from now on. */
  script(script: Script): void {
    this.calls.length = 0;
    this.#script = new Map(Object.entries(script).map(([what, answers]) => [what, [...answers]]));
  }

  /** Runs a command line against it. */
  run(argv: readonly string[], isTerminal = false): Promise<Ran> {
    const { port } = this.#server.address() as AddressInfo;
    const env = {
      HOME: "/nowhere",
      LASTGOOD_URL: `http://127.0.0.1:${port}`,
      LASTGOOD_ACTOR: "tester",
    };
    return runCommandLine(argv, { env, isTerminal });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

const served = (version: string, revision: number): NonNullable<RolloutView["from"]> => ({
  version,
  revision,
  digest: parseDigest(`sha256:${String(revision).repeat(64)}`),
});

/** A canary from v1.0 to v1.1 in its first step. */
export function canaryView(changes: Partial<RolloutView> = {}): RolloutView {
  return {
    id: "1f0c8a52-0000-4000-8000-000000000001",
    endpoint: parseEndpointName("fraud-prod"),
    phase: "Progressing",
    strategy: "canary",
    from: served("v1.0", 1),
    to: served("v1.1", 2),
    weight: 10,
    preview: "/v2/models/fraud-prod/versions/v1.1",
    step: {
      number: 1,
      of: 2,
      kind: "weight",
      percent: 10,
      byHand: false,
      requests: 1_000,
      timeLeftMs: 240_000,
      coolingUntil: null,
    },
    held: null,
    undecided: false,
    waitsFor: null,
    paused: null,
    bakeMs: 3_600_000,
    bakeEndsAt: null,
    plannedLeftMs: 240_000 + 1_200_000 + 3_600_000,
    startedAt: Date.UTC(2026, 10, 21, 2, 40),
    endedAt: null,
    reason: null,
    ...changes,
  };
}

/** The answer that shows a rollout. */
export function rolloutAnswer(
  rollout: RolloutView | null,
  changes: Partial<RolloutAnswer> = {},
): RolloutAnswer {
  return {
    endpoint: parseEndpointName("fraud-prod"),
    rollout,
    current: served("v1.0", 1),
    done: "",
    assessment: null,
    seen: null,
    pin: null,
    automatic: { on: true, why: null },
    ...changes,
  };
}

/** The endpoint after another rollout began. */
export function endpointView(lastRollout: RolloutView | null): EndpointView {
  return {
    name: parseEndpointName("fraud-prod"),
    model: parseModelName("fraud"),
    environment: "production",
    current: served("v1.0", 1),
    split: [],
    rollout: null,
    lastRollout,
    rollback: {
      target: null,
      why: "",
      warm: false,
      provenAt: null,
      expectedSeconds: 0,
      passedOver: [],
    },
    revisions: [],
    pin: null,
    automatic: { on: true, why: null },
    alarms: [],
    historyHead: null,
  };
}

/** The assessment that took back a candidate that fails 4.1 % of its requests. */
export function badAssessment(): NonNullable<RolloutAnswer["assessment"]> {
  return {
    decision: "rollback",
    why: "errorRate: 4.1 % errors, stable 0.5 %: 1 in 20 000 by chance",
    blamed: ["errorRate"],
    source: "ok",
    logE: 8.9,
    threshold: 6.907755278982137,
    metrics: [
      {
        name: "errorRate",
        kind: "errorRate",
        verdict: "fail",
        action: "rollback",
        weight: 0.75,
        logE: 9.2,
        threshold: 7.195437351433918,
        alwaysValidP: 0.0001010394018,
        logPromote: -12,
        candidate: { observations: 640, bad: 26, rate: 0.040625 },
        stable: { observations: 5_760, bad: 29, rate: 0.00503 },
        quantiles: null,
        confidence: { low: 0.02, high: 0.07 },
        dispersion: 1,
        detectable: 0.023,
        words: "4.1 % errors, stable 0.5 %: 1 in 20 000 by chance",
      },
      {
        name: "latency",
        kind: "latency",
        verdict: "inconclusive",
        action: "rollback",
        weight: 0.25,
        logE: -0.7,
        threshold: 8.294049640102028,
        alwaysValidP: 1,
        logPromote: null,
        candidate: { observations: 614, bad: 6, rate: 0.00977 },
        stable: { observations: 5_731, bad: 57, rate: 0.00994 },
        quantiles: { candidate: 42.1, stable: 41.3, at: 0.99 },
        confidence: null,
        dispersion: 1,
        detectable: 0.05,
        words: "p99 42.1 ms, stable 41.3 ms: no more than chance explains",
      },
    ],
    intervals: 64,
    horizon: 5_400,
    requests: { candidate: 640, stable: 5_760 },
    gaps: 0,
  };
}
