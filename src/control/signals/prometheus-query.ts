import * as z from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import type { PrometheusServer } from "../../core/policy/index.ts";

/** Counters by their labels. */
export type Series = Readonly<Record<string, number>>;

const MOST_SERIES = 200;
const LONGEST_ANSWER = 4 * 1024 * 1024;
const LONGEST_WHY = 200;

const sample = z.tuple([z.number(), z.string()]);
const answerSchema = z.discriminatedUnion("status", [
  z.object({
    status: z.literal("success"),
    data: z.discriminatedUnion("resultType", [
      z.object({
        resultType: z.literal("vector"),
        result: z.array(
          z.object({ metric: z.record(z.string(), z.string()), value: sample.optional() }),
        ),
      }),
      z.object({ resultType: z.literal("scalar"), result: sample }),
      z.object({ resultType: z.enum(["matrix", "string"]), result: z.unknown() }),
    ]),
  }),
  z.object({ status: z.literal("error"), error: z.string().default("no reason given") }),
]);

function fault(message: string): LastgoodError {
  return new LastgoodError("internal", message);
}

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > LONGEST_ANSWER) throw fault(`the answer is longer than ${LONGEST_ANSWER}`);
  }
  return text;
}

function numberOf(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw fault(`the query gives ${text.slice(0, 20)}, which is no count`);
}

function seriesOf(text: string, status: number): Series {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw fault(`it answers ${status}, and not as a Prometheus server`);
  }
  const parsed = answerSchema.safeParse(json);
  if (!parsed.success) throw fault(`it answers ${status}, and not as a Prometheus server`);
  if (parsed.data.status === "error")
    throw fault(`it refuses the query: ${parsed.data.error.slice(0, LONGEST_WHY)}`);
  const { data } = parsed.data;
  if (data.resultType === "scalar") return { "": numberOf(data.result[1]) };
  if (data.resultType !== "vector")
    throw fault(`the query gives a ${data.resultType}; needed is a vector or a scalar`);
  if (data.result.length > MOST_SERIES)
    throw fault(`the query gives more than ${MOST_SERIES} series: sum them, sum(…)`);
  return Object.fromEntries(
    data.result.map(({ metric, value }) => {
      if (value === undefined) throw fault("the query gives a native histogram; needed are counts");
      const labels = Object.entries(metric).toSorted(([a], [b]) => (a < b ? -1 : 1));
      return [
        labels.map(([name, label]) => `${name}=${JSON.stringify(label)}`).join(","),
        numberOf(value[1]),
      ];
    }),
  );
}

/** Asks one server; its scheme and host come from the server's own configuration alone. */
export class PrometheusClient {
  readonly #server: PrometheusServer;
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(server: PrometheusServer, env: Readonly<Record<string, string | undefined>>) {
    this.#server = server;
    this.#env = env;
  }

  /** The counters that a query gives at a time; ms since 1970. */
  async query(query: string, at: number, signal: AbortSignal): Promise<Series> {
    const base = this.#server.url.endsWith("/") ? this.#server.url : `${this.#server.url}/`;
    const headers: Record<string, string> = { accept: "application/json" };
    const { tokenEnv } = this.#server;
    if (tokenEnv !== null) {
      const token = this.#env[tokenEnv] ?? "";
      if (token === "") throw fault(`the environment variable ${tokenEnv} is not set`);
      headers["authorization"] = `Bearer ${token}`;
    }
    const response = await fetch(new URL("api/v1/query", base), {
      method: "POST",
      headers,
      body: new URLSearchParams({ query, time: String(at / 1_000) }),
      redirect: "error",
      signal,
    });
    return seriesOf(await textOf(response), response.status);
  }
}
