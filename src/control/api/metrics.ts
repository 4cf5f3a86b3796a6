import type { Assessment } from "../../core/analysis/index.ts";
import type { EndpointView, Status } from "../../core/api/index.ts";
import type { CountTotal } from "../../storage/store/index.ts";
import type { Metric, Sample } from "./exposition.ts";
import { rolloutMetrics } from "./rollout-metrics.ts";

/** How many rollbacks an endpoint had, by what started them. */
export type RollbackTotals = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** What the metrics are made of. */
export interface MetricsInput {
  readonly build: string;
  readonly status: Status;
  /** Of every endpoint. */
  readonly counts: readonly CountTotal[];
  readonly rollbacks: RollbackTotals;
  /** What the evidence says of the rollouts under way, by endpoint. */
  readonly assessments: ReadonlyMap<string, Assessment>;
}

function versionOf(endpoint: EndpointView | undefined, revision: number): string {
  return endpoint?.revisions.find((each) => each.revision === revision)?.version ?? "";
}

function counted(input: MetricsInput, field: "requests" | "errors"): readonly Sample[] {
  const samples = new Map<string, { labels: Record<string, string | number>; value: number }>();
  const endpoints = new Map(input.status.endpoints.map((each) => [each.name as string, each]));
  for (const count of input.counts) {
    const { endpoint, revision, arm } = count;
    const key = `${endpoint} ${revision} ${arm}`;
    const version = versionOf(endpoints.get(endpoint), revision);
    const sample = samples.get(key) ?? { labels: { endpoint, version, revision, arm }, value: 0 };
    sample.value += count[field];
    samples.set(key, sample);
  }
  return [...samples.values()];
}

/** What `/metrics` shows. */
export function metricsOf(input: MetricsInput): readonly Metric[] {
  const { endpoints } = input.status;
  return [
    {
      name: "lastgood_build_info",
      help: "The build of the control plane.",
      type: "gauge",
      samples: [{ labels: { build: input.build }, value: 1 }],
    },
    {
      name: "lastgood_active_version",
      help: "1 for the version that carries an endpoint's traffic.",
      type: "gauge",
      samples: endpoints.flatMap(({ name, current }) =>
        current === null
          ? []
          : [
              {
                labels: {
                  endpoint: name,
                  version: current.version,
                  revision: current.revision ?? "",
                  digest: current.digest,
                },
                value: 1,
              },
            ],
      ),
    },
    {
      name: "lastgood_requests_total",
      help: "Requests answered, by the revision and arm that answered.",
      type: "counter",
      samples: counted(input, "requests"),
    },
    {
      name: "lastgood_errors_total",
      help: "Requests that the version failed.",
      type: "counter",
      samples: counted(input, "errors"),
    },
    {
      name: "lastgood_rollbacks_total",
      help: "Rollbacks of an endpoint, by what started them.",
      type: "counter",
      samples: [...input.rollbacks].flatMap(([endpoint, byTrigger]) =>
        [...byTrigger].map(([trigger, value]) => ({ labels: { endpoint, trigger }, value })),
      ),
    },
    {
      name: "lastgood_rollout_weight",
      help: "Percent of an endpoint's traffic that a revision carries.",
      type: "gauge",
      samples: endpoints.flatMap(({ name, split }) =>
        split.map(({ version, revision, weight }) => ({
          labels: { endpoint: name, version, revision },
          value: weight,
        })),
      ),
    },
    ...rolloutMetrics(endpoints, input.assessments),
  ];
}
