import { parseDigest, parseEndpointName, parseModelName } from "../src/core/version/index.ts";
import { DEFAULT_LIMITS, type Route } from "../src/link/route/index.ts";
import { monotonic } from "../src/serving/gateway/clock.ts";
import { EndpointBook } from "../src/serving/gateway/endpoint-book.ts";
import { median } from "./measure.ts";

const REQUESTS = 200_000;

function routeOf(arms: Route["split"]["arms"]): Route {
  const signature = { inputs: [], outputs: [] };
  return {
    endpoint: parseEndpointName("iris"),
    model: parseModelName("iris"),
    environment: "production",
    order: { generation: 1, epoch: 1, sequence: 1 },
    split: { salt: "salt", arms },
    revisions: arms.map(({ revision }) => ({
      revision,
      version: { model: parseModelName("iris"), name: null, sequence: revision },
      digest: parseDigest(`sha256:${String(revision).padStart(64, "0")}`),
      runtime: { kind: "onnx", file: "model.onnx" },
      files: [],
      signature,
      contract: signature,
      batching: { on: true },
      golden: [],
      limits: DEFAULT_LIMITS,
    })),
    hold: null,
    watch: null,
    safeguards: { fallback: false, breaker: false },
    predictions: false,
    historyHead: null,
    acknowledges: [],
    rolledBack: null,
    targets: [],
    passedOver: [],
  };
}

/** All that routing and recording do for one request, and nothing else of it. */
function oneRequest(book: EndpointBook, stickyKey: string | null): number {
  book.find("iris");
  const routed = book.find("iris");
  const picked = routed.pick(stickyKey);
  if (picked === null) throw new Error("the route picks no revision");
  const served = book.served(picked.key);
  book.notice("iris", "oip");
  served.admit(monotonic());
  picked.count("assigned").requests += 1;
  const id = book.requestId(picked.key);
  served.release();
  return id.length;
}

function microsecondsPerRequest(
  book: EndpointBook,
  key: (number: number) => string | null,
): number {
  const startedAt = performance.now();
  let used = 0;
  for (let number = 0; number < REQUESTS; number += 1) used += oneRequest(book, key(number));
  if (used === 0) throw new Error("nothing was measured");
  return ((performance.now() - startedAt) * 1_000) / REQUESTS;
}

function bookOf(arms: Route["split"]["arms"]): EndpointBook {
  const settings = {
    worker: 0,
    gateway: "bench",
    incarnation: "bench",
    build: "bench",
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
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
  book.swap(routeOf(arms), 1, null);
  return book;
}

/** What routing and recording cost by themselves, microseconds per request. */
export interface RecordingCost {
  readonly single: number;
  /** A canary whose arm is chosen by a sticky key, another for each request. */
  readonly sticky: number;
}

/** Measures routing and recording alone, without a server around them. */
export function recordingCost(): RecordingCost {
  const single = bookOf([{ revision: 1, weight: 100 }]);
  const canary = bookOf([
    { revision: 1, weight: 90 },
    { revision: 2, weight: 10 },
  ]);
  const rounds = Array.from({ length: 7 }, () => ({
    single: microsecondsPerRequest(single, () => null),
    sticky: microsecondsPerRequest(canary, (number) => `user-${number}`),
  }));
  return {
    single: median(rounds.map((round) => round.single)),
    sticky: median(rounds.map((round) => round.sticky)),
  };
}
