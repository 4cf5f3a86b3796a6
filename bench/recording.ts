import { parseEndpointName } from "../src/core/version/index.ts";
import type { Route } from "../src/link/route/index.ts";
import { monotonic } from "../src/serving/gateway/clock.ts";
import { EndpointBook } from "../src/serving/gateway/endpoint-book.ts";
import type { InferResult } from "../src/serving/runtime/index.ts";
import { plainRoute, routeRevision, WATCHED } from "../test/support/route-facts.ts";
import { median } from "./measure.ts";

const REQUESTS = 200_000;
/** Requests of one shared run, as under load. */
const FRAME = 16;

const LABELS = Array.from({ length: 3 }, (_, label) => BigInt64Array.of(BigInt(label)));

/** What a classifier answers: a label and its probabilities. */
function resultOf(number: number, frame: InferResult["frame"]): InferResult {
  return {
    outputs: [
      { name: "label", dtype: "INT64", shape: [1], data: LABELS[number % LABELS.length] ?? [] },
      { name: "probabilities", dtype: "FP32", shape: [1, 3], data: new Float32Array(3) },
    ],
    modelMs: 0.1 + (number % 50) / 100,
    batch: FRAME,
    ...(frame === undefined ? {} : { frame }),
  };
}

function routeOf(arms: Route["split"]["arms"], watch: Route["watch"]): Route {
  return plainRoute({
    endpoint: parseEndpointName("iris"),
    split: { salt: "salt", arms },
    revisions: arms.map(({ revision }) => routeRevision(revision)),
    watch,
  });
}

/** All that routing and recording do for one request, and nothing else of it. */
function oneRequest(book: EndpointBook, stickyKey: string | null, result: InferResult): number {
  book.find("iris");
  const routed = book.find("iris");
  const picked = routed.pick(stickyKey);
  if (picked === null) throw new Error("the route picks no revision");
  const served = book.served(picked.key);
  book.notice("iris", "oip");
  const admittedAt = monotonic();
  served.admit(admittedAt);
  const ticket = picked.evidence?.admit(admittedAt, stickyKey, []);
  ticket?.answered(result);
  picked.count("assigned").requests += 1;
  const id = book.requestId(picked.key);
  served.release();
  return id.length;
}

function microsecondsPerRequest(
  book: EndpointBook,
  key: (number: number) => string | null,
): number {
  const frames = Array.from({ length: Math.ceil(REQUESTS / FRAME) }, () => ({ rows: FRAME }));
  const results = Array.from({ length: REQUESTS }, (_, number) =>
    resultOf(number, frames[Math.floor(number / FRAME)]),
  );
  const before = process.cpuUsage();
  let used = 0;
  for (const [number, result] of results.entries()) used += oneRequest(book, key(number), result);
  if (used === 0) throw new Error("nothing was measured");
  // CPU of all threads, the collector's too: others on the machine do not count.
  const { user, system } = process.cpuUsage(before);
  return (user + system) / REQUESTS;
}

function bookOf(arms: Route["split"]["arms"], watch: Route["watch"] = null): EndpointBook {
  const settings = {
    worker: 0,
    workers: 1,
    gateway: "bench",
    incarnation: "bench",
    build: "bench",
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    grpc: null,
    defaultEndpoint: null,
    predictionsFolder: "/nowhere",
    requestIdKey: "00",
    probeToken: "none",
  };
  const book = new EndpointBook(
    settings,
    () => Promise.reject(new Error("nothing is dialled here")),
    () => undefined,
  );
  book.swap(routeOf(arms, watch), 1, null);
  return book;
}

/** What routing and recording cost by themselves, microseconds of CPU per request. */
export interface RecordingCost {
  readonly single: number;
  /** A canary whose arm is chosen by a sticky key, another for each request. */
  readonly sticky: number;
  /** A canary by chance, and the same while its rollout is under watch. */
  readonly canary: number;
  readonly watched: number;
  /** Under watch, with a sticky key, another for each request. */
  readonly watchedSticky: number;
}

const nobody = (): null => null;
const user = (number: number): string => `user-${number}`;

/** Measures routing and recording alone, without a server around them. */
export function recordingCost(): RecordingCost {
  const single = bookOf([{ revision: 1, weight: 100 }]);
  const arms = [
    { revision: 1, weight: 90 },
    { revision: 2, weight: 10 },
  ];
  const canary = bookOf(arms);
  const watched = bookOf(arms, WATCHED);
  const rounds = Array.from({ length: 7 }, () => {
    const round = {
      single: microsecondsPerRequest(single, nobody),
      sticky: microsecondsPerRequest(canary, user),
      canary: microsecondsPerRequest(canary, nobody),
      watched: microsecondsPerRequest(watched, nobody),
      watchedSticky: microsecondsPerRequest(watched, user),
    };
    watched.evidence.end();
    return round;
  });
  const middle = (what: keyof RecordingCost): number => median(rounds.map((round) => round[what]));
  return {
    single: middle("single"),
    sticky: middle("sticky"),
    canary: middle("canary"),
    watched: middle("watched"),
    watchedSticky: middle("watchedSticky"),
  };
}
