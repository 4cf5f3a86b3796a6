/** Law 5 taken out: a switch breaks off what is in flight on the revision it leaves. */
import { LastgoodError } from "../../../../src/core/errors/index.ts";
import type { Route } from "../../../../src/link/route/index.ts";
import { EndpointBook as Original } from "../../../../src/serving/gateway/endpoint-book.ts";
import type { ServedRevision } from "../../../../src/serving/gateway/served-revision.ts";
import type { Swapped } from "../../../../src/serving/gateway/thread-messages.ts";
import type { InferResult } from "../../../../src/serving/runtime/index.ts";

// What the sabotage does not replace.
export * from "../../../../src/serving/gateway/endpoint-book.ts";

export class EndpointBook extends Original {
  readonly #cuts = new Map<ServedRevision, PromiseWithResolvers<InferResult>>();

  override served(key: string): ServedRevision {
    const served = super.served(key);
    if (!this.#cuts.has(served)) {
      const infer = served.infer.bind(served);
      served.infer = (request) => Promise.race([infer(request), this.#cut(served).promise]);
      this.#renew(served);
    }
    return served;
  }

  override swap(route: Route, interval: number, holdMs: number | null): Swapped {
    const swapped = super.swap(route, interval, holdMs);
    const arms = route.split.arms.map(({ revision }) => `${route.endpoint}/${revision}`);
    for (const served of this.#cuts.keys()) {
      if (!served.subject.startsWith(`${route.endpoint}/`) || arms.includes(served.subject))
        continue;
      this.#cut(served).reject(new LastgoodError("runtime.unavailable", "it was switched off"));
      this.#renew(served);
    }
    return swapped;
  }

  #cut(served: ServedRevision): PromiseWithResolvers<InferResult> {
    return this.#cuts.get(served) ?? this.#renew(served);
  }

  #renew(served: ServedRevision): PromiseWithResolvers<InferResult> {
    const cut = Promise.withResolvers<InferResult>();
    cut.promise.catch(() => undefined);
    this.#cuts.set(served, cut);
    return cut;
  }
}
