/** Rollouts that watch themselves, from outside: an endpoint with callers, and how its rollouts end. */
import { expect } from "vitest";

import type { HistoryEntry, RolloutView } from "../../src/core/api/index.ts";
import { Load, monotonicMs, oipBody } from "./load.ts";
import { heldOutRows } from "./rows.ts";
import { until, type TestServer } from "./server.ts";
import { Stage } from "./stage.ts";

/** The example models. */
export type Family = "iris" | "breast-cancer" | "digits";

/** How an endpoint under traffic is set up. */
export interface UnderTrafficOptions {
  readonly family?: Family;
  /** Put in force before the first deploy; null: the default one. */
  readonly policy?: Readonly<Record<string, unknown>> | null;
  /** Requests in flight at any time. @default 4 */
  readonly concurrency?: number;
  /** Between two requests on a connection, ms. @default 15 */
  readonly pauseMs?: number;
  /** Instead of the family's held-out rows. */
  readonly bodies?: readonly string[];
  /** Its file is the family's of this name. @default v1.1 */
  readonly first?: string;
  /** The first version's file, where it is none of the family's. */
  readonly file?: string;
  /** For versions that would not bear any input. */
  readonly inputExample?: unknown;
}

type Parts = Readonly<Record<string, unknown>>;

/** An analysis of rollouts that take seconds: nothing waits until a version has warmed up. */
export function quickAnalysis({
  metrics,
  ...changes
}: { readonly metrics?: Parts } & Parts = {}): Parts {
  return { flush: "250ms", ...changes, metrics: { latency: { warmUp: "0s" }, ...metrics } };
}

/** A canary in seconds: two steps, a bake with a holdback. */
export function quickCanary(
  changes: {
    readonly analysis?: Parameters<typeof quickAnalysis>[0];
    readonly rollback?: Readonly<Record<string, unknown>>;
    readonly rollout?: Readonly<Record<string, unknown>>;
  } = {},
): Readonly<Record<string, unknown>> {
  return {
    rollout: {
      canary: {
        steps: [
          { weight: "20%", until: { requests: 40, time: "2s" } },
          { weight: "50%", until: { requests: 80, time: "1s" } },
        ],
      },
      bake: "3s",
      ...changes.rollout,
    },
    analysis: quickAnalysis(changes.analysis),
    rollback: { atMost: "1000 per 1h", ...changes.rollback },
  };
}

type DeployOptions = NonNullable<Parameters<Stage["deploy"]>[1]>;

/** An endpoint of one of the example families, with callers. */
export class UnderTraffic extends Stage {
  readonly family: Family;
  readonly load: Load;

  private constructor(server: TestServer, name: string, options: UnderTrafficOptions) {
    super(server, name);
    this.family = options.family ?? "iris";
    this.load = new Load({
      url: this.url,
      bodies: options.bodies ?? heldOutRows(this.family).map((row) => oipBody(row.features)),
      concurrency: options.concurrency ?? 4,
      pauseMs: options.pauseMs ?? 15,
    });
  }

  /** Registers and deploys the first version, which is stable then, and lets callers in. */
  static async start(
    server: TestServer,
    name: string,
    options: UnderTrafficOptions = {},
  ): Promise<UnderTraffic> {
    const { family = "iris", policy = quickCanary(), first = "v1.1" } = options;
    const before = new Stage(server, name);
    await before.register(first, options.file ?? `${family}/${first}.onnx`, options.inputExample);
    if (policy !== null)
      await server.client.applyPolicy(name, {
        actor: "tester",
        policy: { model: name, ...policy },
      });
    await before.deploy(first);
    return new UnderTraffic(server, name, options);
  }

  /** Registers one of the family's broken versions. */
  registerBroken(version: string, name = version): Promise<void> {
    return this.register(name, `${this.family}/${version}.onnx`);
  }

  /** Deploys as the policy says; its bake goes on when this resolves. */
  begin(version: string, options: DeployOptions = {}): ReturnType<Stage["deploy"]> {
    return this.deploy(version, { bakeMs: null, ...options });
  }

  /** Deploys as the policy says and waits for the end. */
  async rollsOut(
    version: string,
    options: DeployOptions = {},
    timeoutMs = 60_000,
  ): Promise<RolloutView> {
    const { rollout } = await this.begin(version, options);
    return this.endOf(rollout?.id ?? "", timeoutMs);
  }

  /** Waits for the end of the rollout. */
  endOf(id: string, timeoutMs = 60_000): Promise<RolloutView> {
    return until(
      `the rollout of ${this.name} ends`,
      async () => {
        const { lastRollout } = await this.view();
        return lastRollout?.id === id ? lastRollout : null;
      },
      timeoutMs,
    );
  }

  async history(): Promise<readonly HistoryEntry[]> {
    const all: HistoryEntry[] = [];
    for (;;) {
      const after = all.at(-1)?.sequence ?? 0;
      const { entries } = await this.server.client.history(this.name, { after });
      if (entries.length === 0) return all;
      all.push(...entries);
    }
  }

  /** The decisions to go back that nobody made, oldest first. */
  async decisions(): Promise<readonly HistoryEntry[]> {
    const entries = await this.history();
    return entries.filter(({ kind, actor }) => kind === "rollback.started" && actor === "lastgood");
  }

  /** It was sent back by itself because of this metric: failed, kept and barred; nobody noticed. */
  async wasSentBackBy(metric: string, version: string, ended: RolloutView): Promise<void> {
    const { phase, reason } = ended;
    expect({ version, phase, reason }).toEqual({
      version,
      phase: "RolledBack",
      reason: expect.stringContaining(`${metric}: `),
    });
    expect((await this.decisions()).at(-1)).toMatchObject({
      data: { trigger: "analysis", blamed: expect.arrayContaining([metric]) },
    });
    await this.isBackFrom(version, reason);
  }

  /** v1.1 serves alone, the other one is failed, kept and barred; nobody noticed. */
  async isBackFrom(version: string, reason: string | null): Promise<void> {
    const view = await this.view();
    expect(view.current?.version).toBe("v1.1");
    expect(view.split).toMatchObject([{ version: "v1.1", weight: 100 }]);
    expect(view.revisions.findLast((each) => each.version === version)?.status).toBe("failed");
    expect(await this.server.client.version(this.name, version)).toMatchObject({
      status: "failed",
      statusReason: reason,
    });
    await expect(this.begin(version)).rejects.toMatchObject({ code: "version.barred" });
    expect(this.load.failures).toEqual([]);
  }
}

/** How long after its answer it is known whether a prediction was right, ms. */
const LABEL_DELAY_MS = 500;
const SEND_LABELS_EVERY_MS = 250;

/** Somebody who finds out half a second later what was true, and says so. */
export class LateLabels {
  readonly #on: UnderTraffic;
  readonly #truth: readonly (string | number)[];
  readonly #timer: NodeJS.Timeout;
  #told = 0;
  #sending: Promise<unknown> = Promise.resolve();
  /** Labels that were taken. */
  accepted = 0;

  constructor(on: UnderTraffic) {
    this.#on = on;
    this.#truth = heldOutRows(on.family).map(({ label }) =>
      on.family === "breast-cancer" ? label : Number(label),
    );
    this.#timer = setInterval(() => {
      this.#sending = this.#sending.then(() => this.#send());
    }, SEND_LABELS_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
  }

  async #send(): Promise<void> {
    const items: { requestId: string; label: string | number }[] = [];
    const { answers } = this.#on.load;
    const known = monotonicMs() - LABEL_DELAY_MS;
    for (let one = answers[this.#told]; one !== undefined; one = answers[this.#told]) {
      if (one.doneAt > known) break;
      const label = this.#truth[one.index];
      if (one.requestId !== null && label !== undefined)
        items.push({ requestId: one.requestId, label });
      this.#told += 1;
    }
    if (items.length === 0) return;
    // The control plane may be busy: what is not taken now is lost, as labels sometimes are.
    const taken = await this.#on.server.client.feedback(items).catch(() => null);
    this.accepted += taken?.accepted ?? 0;
  }
}

/** How often a suite goes round: many times by `npm run soak`, few in between. */
export function runsFrom(variable: string, usual: number): number {
  const asked = Number(process.env[variable] ?? usual);
  if (!Number.isInteger(asked) || asked < 1) throw new Error(`${variable} is a count of runs`);
  return asked;
}
