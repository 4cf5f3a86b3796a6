import { Option, type Command } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "commander";

import type { LastgoodClient } from "../../../client/index.ts";
import {
  isLabelled,
  plannedUnder,
  simulate,
  type Labels,
  type Scenario,
  type Simulated,
  type SimulationResult,
  type Traffic,
} from "../../../core/analysis/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { parseEndpointPolicy, type EndpointPolicy } from "../../../core/policy/index.ts";
import { formatDuration } from "../../../core/time/index.ts";
import { readPolicyFile } from "../../config/index.ts";
import { examples } from "../help-text.ts";
import { countValue, durationValue } from "../option-value.ts";
import { grouped, percentText } from "../phrase.ts";
import type { Session } from "../session.ts";
import { tableLines } from "../table.ts";

/** Error rates of the candidates that are simulated where none is asked for. */
const RATES = [0.01, 0.02, 0.05, 0.2, 1];
const SLOWDOWNS = [1.5, 2];
/** How much worse the answers of a candidate are, where labels tell. */
const WORSE = [0.05, 0.2];
/** How labels come where none came yet and nobody says. */
const ASSUMED_LABELS = { share: 0.1, delayMs: 600_000, wrong: 0.1 };
/** Traffic that is only told counts as if it had been observed for so long, ms. */
const TOLD_MS = 7_200_000;

/** Requests per second of `10/s`, `600/min` or `10`; for commander. */
function rateValue(text: string): number {
  const [, number, per] = /^(\d+(?:\.\d+)?)(?:\/(s|min|m|h))?$/.exec(text.trim()) ?? [];
  const seconds = per === "h" ? 3_600 : per === "min" || per === "m" ? 60 : 1;
  const rate = Number(number) / seconds;
  if (!(rate > 0)) throw new InvalidArgumentError("accepted are 10/s, 600/min and 1000/h.");
  return rate;
}

/** A fraction of `0.5%` or `3`; for commander. */
function shareValue(text: string): number {
  const number = /^(\d{1,3}(?:\.\d+)?)%?$/.exec(text.trim())?.[1];
  const share = Number(number) / 100;
  if (!(share >= 0 && share <= 1)) throw new InvalidArgumentError("accepted are 3% and 0.5%.");
  return share;
}

function sharesValue(text: string, before: readonly number[] | undefined): number[] {
  return [...(before ?? []), ...text.split(",").map(shareValue)];
}

interface Asked {
  readonly policy?: string | undefined;
  readonly rate?: number | undefined;
  readonly errorRate?: number | undefined;
  readonly catch?: readonly number[] | undefined;
  readonly labels?: number | undefined;
  readonly labelDelay?: number | undefined;
  readonly wrong?: number | undefined;
  readonly runs: number;
  readonly seed: number;
}

/** `simulate`: how a policy would behave at an endpoint's own traffic. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "How a policy would behave at an endpoint's own traffic: how soon it takes back candidates that fail 1, 2, 5, 20 or 100 % of their requests, or are slower, and how often it would be wrong. Drawn at random through the very analysis that decides about real rollouts; nothing is deployed. Requests are drawn one by one and evenly over time: bursts are only as far in it as the measured dispersion.",
    )
    .argument("[endpoint]", "whose traffic; may be left out where there is only one")
    .option("--policy <file>", "lastgood.yaml (default: the policy in force at the endpoint)")
    .option("--rate <rate>", "traffic instead of what was measured: 10/s, 600/min", rateValue)
    .option("--error-rate <percent>", "stable's, instead of what was measured: 0.5%", shareValue)
    .option("--catch <percent>", "error rates of the candidate: 3% or 1%,3%,10%", sharesValue)
    .option(
      "--labels <percent>",
      "share of the requests with feedback; 0 % leaves it out",
      shareValue,
    )
    .option("--label-delay <time>", "from a request to its feedback", durationValue)
    .option("--wrong <percent>", "of stable's answers, by feedback", shareValue)
    .addOption(
      new Option("--runs <count>", "rollouts of each kind").argParser(countValue).default(500),
    )
    .addOption(
      new Option("--seed <number>", "the same seed, the same result")
        .argParser(countValue)
        .default(1),
    )
    .addHelpText(
      "after",
      examples([
        ["lastgood simulate fraud-prod", "the policy in force, at the traffic so far"],
        ["lastgood simulate --policy lastgood.yaml fraud-prod --catch 3%", "before it is applied"],
        [
          "lastgood simulate --policy lastgood.yaml --rate 10/s --error-rate 0.5%",
          "without a server",
        ],
      ]),
    )
    .action(async (endpoint, options) => {
      const known = await lookUp(session, endpoint ?? null, options);
      const { name, policy, traffic, source } = known;
      const planned = plannedUnder(policy.policy);
      const labels = labelsOf(policy, known.labels, options);
      const { fallback } = policy.policy.rollback;
      const simulated = { planned, traffic, fallback, labels };
      const results = await runAll(session, simulated, options);
      const answer = {
        endpoint: name,
        traffic: {
          source,
          requestsPerSecond: traffic.requestsPerSecond,
          errorRate: traffic.errorRate,
          dispersion: traffic.dispersion,
          seesSlowdowns: seesSlowdowns(simulated),
          labels:
            labels === null ? null : { ...labels, source: labelSource(known.labels, options) },
        },
        runs: options.runs,
        seed: options.seed,
        falseAlarmsPerThousand: perThousand(results[0]),
        results,
      };
      session.terminal.answer(answer, () => describe(answer, simulated, session));
    });
}

interface Known {
  readonly name: string | null;
  readonly policy: EndpointPolicy;
  readonly traffic: Traffic;
  readonly source: "measured" | "told" | "measured and told";
  /** As they came; null: none did, or nobody was asked. */
  readonly labels: Labels | null;
}

/** What was measured there. A policy may be for an endpoint that is not made yet. */
async function trafficAt(
  client: LastgoodClient,
  endpoint: string | null,
): Promise<Awaited<ReturnType<LastgoodClient["traffic"]>>> {
  try {
    return await client.traffic(endpoint);
  } catch (cause) {
    const { code, message } = LastgoodError.from(cause);
    if (code !== "endpoint.not-found") throw cause;
    throw new LastgoodError(code, message, {
      hint: "name the one whose traffic it is, or say what it will have: --rate 10/s --error-rate 0.5%",
      cause,
    });
  }
}

/** The policy, and the traffic it is to meet. @throws `usage.invalid` where nothing is known of it. */
async function lookUp(session: Session, endpoint: string | null, asked: Asked): Promise<Known> {
  const file = asked.policy === undefined ? null : await policyOf(asked.policy);
  const isTold = asked.rate !== undefined && asked.errorRate !== undefined;
  if (isTold && file !== null && endpoint === null)
    return { name: null, policy: file, traffic: told(null, asked), source: "told", labels: null };
  const client = await session.client();
  const {
    endpoint: name,
    traffic,
    labels,
  } = await trafficAt(client, endpoint ?? file?.name ?? null);
  if (traffic === null && !isTold) return unknown(name);
  const policy = file ?? parseEndpointPolicy((await client.policy(name)).policy);
  if (traffic === null) return { name, policy, traffic: told(null, asked), source: "told", labels };
  if (asked.rate === undefined && asked.errorRate === undefined)
    return { name, policy, traffic, source: "measured", labels };
  return { name, policy, traffic: told(traffic, asked), source: "measured and told", labels };
}

function unknown(endpoint: string): never {
  throw new LastgoodError(
    "usage.invalid",
    `${endpoint} had no traffic at rest in the last 2 h, so nothing is known of it`,
    {
      hint: "say what it has: lastgood simulate --rate 10/s --error-rate 0.5% (what is measured is counted while no rollout is under way)",
    },
  );
}

/** The one policy of a file. @throws `config.invalid`. */
async function policyOf(path: string): Promise<EndpointPolicy> {
  const [first, second] = await readPolicyFile(path);
  if (first !== undefined && second === undefined) return first.endpoint;
  throw new LastgoodError("config.invalid", `${path} holds policies of several endpoints`, {
    hint: "give a file with one",
  });
}

/** Traffic as it is told, what is not told as it was measured. */
function told(measured: Traffic | null, { rate, errorRate }: Asked): Traffic {
  const perSecond = rate ?? measured?.requestsPerSecond ?? 1;
  const share = errorRate ?? measured?.errorRate ?? 0;
  const requests = Math.max(1, Math.round((perSecond * TOLD_MS) / 1_000));
  const sized = measured === null ? 1 : requests / measured.requests;
  const latency = Object.entries(measured?.latency ?? {}).map(([batch, histogram]) => [
    batch,
    histogram.flatMap(([bucket, times]) => {
      const whole = Math.round(times * sized);
      return whole > 0 ? [[bucket, whole] as [number, number]] : [];
    }),
  ]);
  return {
    requests,
    errors: Math.round(requests * share),
    observedMs: TOLD_MS,
    requestsPerSecond: perSecond,
    errorRate: share,
    dispersion: measured?.dispersion ?? 1,
    latency: Object.fromEntries(latency) as Traffic["latency"],
  };
}

/** Slowdowns can be seen where latencies are known, and compared. */
function seesSlowdowns({ traffic, planned }: Simulated): boolean {
  return planned.comparison !== "absolute" && Object.keys(traffic.latency).length > 0;
}

/** How feedback comes: as told, else as it came, else as is assumed; null where no metric hears of it. */
function labelsOf(
  { policy }: EndpointPolicy,
  came: Labels | null,
  { labels: share, labelDelay: delayMs, wrong }: Asked,
): Simulated["labels"] {
  const hears = policy.analysis.metrics.some(
    ({ kind, action }) => isLabelled(kind) && action !== "report",
  );
  if (!hears || share === 0) return null;
  return {
    share: share ?? came?.share ?? ASSUMED_LABELS.share,
    delayMs: delayMs ?? came?.delayMs ?? ASSUMED_LABELS.delayMs,
    wrong: wrong ?? came?.wrong ?? ASSUMED_LABELS.wrong,
  };
}

function labelSource(came: Labels | null, { labels, labelDelay, wrong }: Asked): string {
  const given = [labels, labelDelay, wrong].filter((each) => each !== undefined).length;
  if (given === 3) return "told";
  const rest =
    came === null
      ? "assumed"
      : came.wrong === null && wrong === undefined
        ? "measured, wrong ones assumed"
        : "measured";
  return given === 0 ? rest : `${rest} and told`;
}

function scenariosOf(simulated: Simulated, asked: Asked): readonly Scenario[] {
  const { traffic, labels } = simulated;
  const rates = asked.catch ?? RATES;
  const slower = seesSlowdowns(simulated) ? SLOWDOWNS : [];
  return [
    { errorRate: null, times: 1 },
    ...rates
      .filter((rate) => rate > traffic.errorRate)
      .map((errorRate) => ({ errorRate, times: 1 })),
    ...slower.map((times) => ({ errorRate: null, times })),
    ...(labels === null ? [] : WORSE)
      .map((more) => Math.min(1, (labels?.wrong ?? 0) + more))
      .map((wrong) => ({ errorRate: null, times: 1, wrong })),
  ];
}

async function runAll(
  session: Session,
  simulated: Simulated,
  asked: Asked,
): Promise<readonly SimulationResult[]> {
  const scenarios = scenariosOf(simulated, asked);
  const results: SimulationResult[] = [];
  const began = performance.now();
  for (const [at, scenario] of scenarios.entries()) {
    const seed = asked.seed + at;
    results.push(simulate(simulated, scenario, { runs: asked.runs, seed }));
    if (performance.now() - began > 1_000 && at + 1 < scenarios.length)
      session.terminal.note(`${at + 1} of ${scenarios.length}: ${nameOf(scenario)}`);
    // Ctrl-C is heard between them.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  return results;
}

function nameOf({ errorRate, times, wrong = null }: Scenario): string {
  if (wrong !== null) return `${percentText(wrong)} wrong`;
  if (errorRate !== null) return `${percentText(errorRate)} errors`;
  return times === 1 ? "as good as stable" : `${times} x as slow`;
}

const perThousand = (result: SimulationResult | undefined): number =>
  result === undefined ? 0 : (1_000 * result.caught) / result.runs;

function spreadText(
  { median, p95 }: SimulationResult["requests"],
  text: (value: number) => string,
): string {
  return median === null ? "-" : `${text(median)} / ${p95 === null ? "-" : text(p95)}`;
}

/** In which stages it was caught, the most first. */
function stagesText({ caughtIn, caught }: SimulationResult): string {
  if (caught === 0) return "-";
  return caughtIn
    .map((count, at) => ({ count, name: at === caughtIn.length - 1 ? "bake" : `step ${at + 1}` }))
    .filter(({ count }) => count > 0)
    .map(({ count, name }) => `${name} ${percentText(count / caught)}`)
    .join(", ");
}

interface Answer {
  readonly endpoint: string | null;
  readonly traffic: {
    readonly source: Known["source"];
    readonly requestsPerSecond: number;
    readonly errorRate: number;
    readonly dispersion: number;
    readonly seesSlowdowns: boolean;
    readonly labels: (NonNullable<Simulated["labels"]> & { readonly source: string }) | null;
  };
  readonly runs: number;
  readonly seed: number;
  readonly falseAlarmsPerThousand: number;
  readonly results: readonly SimulationResult[];
}

function describe(answer: Answer, { planned }: Simulated, session: Session): string[] {
  const { terminal } = session;
  const { traffic, results, runs, seed } = answer;
  const head = ["CANDIDATE", "CAUGHT", "REQUESTS", "TIME", "FAILED BY THEN", "CAUGHT IN"];
  const rows = results.map((result) => [
    nameOf(result.scenario),
    percentText(result.caught / result.runs),
    spreadText(result.requests, grouped),
    spreadText(result.timeMs, formatDuration),
    spreadText(result.failed, grouped),
    stagesText(result),
  ]);
  const { requestsPerSecond, errorRate, dispersion } = traffic;
  const clusters = dispersion > 1 ? `, clustered ${dispersion.toFixed(1)} x` : "";
  const alpha = 1_000 * planned.analysis.alpha;
  const undecided = results.filter((result) => result.undecided > 0);
  return [
    terminal.style("bold", `${answer.endpoint ?? "traffic as told"}: ${planText(planned)}`),
    `  traffic   ${Number(requestsPerSecond.toPrecision(2))} requests/s, ${percentText(errorRate)} errors${clusters} (${traffic.source})`,
    `  false     ${answer.falseAlarmsPerThousand} of 1 000 rollouts of a candidate as good as stable went back; at most ${Number(alpha.toPrecision(2))} are allowed`,
    ...(traffic.seesSlowdowns
      ? []
      : [
          planned.comparison === "absolute"
            ? "  latency   nothing runs beside the candidate: slowdowns are left out"
            : "  latency   nothing was measured: slowdowns are left out",
        ]),
    ...labelLines(traffic.labels),
    "",
    ...tableLines([head.map((word) => terminal.style("dim", word)), ...rows]),
    ...undecided.map(
      (result) =>
        `${nameOf(result.scenario)}: ${percentText(result.undecided / result.runs)} waited for a person`,
    ),
    `median / 95th percentile over ${grouped(runs)} rollouts each, seed ${seed}; - is more than were caught`,
  ];
}

function labelLines(labels: Answer["traffic"]["labels"]): string[] {
  if (labels === null) return [];
  const { share, delayMs, wrong, source } = labels;
  const isAssumed = source.includes("assumed");
  return [
    `  feedback  on ${percentText(share)} of requests, ${formatDuration(delayMs)} later, ${percentText(wrong)} of stable's answers wrong (${source})`,
    ...(isAssumed
      ? ["            --labels, --label-delay and --wrong say how it is; --labels 0% leaves it out"]
      : []),
  ];
}

function planText({ steps, bakeMs, comparison, holdback }: Simulated["planned"]): string {
  const stages = steps.map((step) =>
    step.kind === "weight" || step.kind === "mirror"
      ? `${step.percent} %${step.kind === "mirror" ? " mirrored" : ""} for ${formatDuration(step.until.timeMs)}`
      : step.kind,
  );
  const beside =
    comparison === "absolute"
      ? "nothing beside it"
      : `${percentText(holdback)} ${comparison === "live" ? "held back" : "mirrored"}`;
  return [...stages, `bake ${formatDuration(bakeMs)} with ${beside}`].join(", ");
}
