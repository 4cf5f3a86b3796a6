import type { z } from "zod";

import { LastgoodError } from "../../core/errors/index.ts";
import { tensorFromWire } from "../../core/tensor/index.ts";
import type { Clock } from "../../core/time/index.ts";
import { GATEWAY_REQUESTS, type GatewayStatus } from "../../link/message/index.ts";
import type { Override } from "../../link/override/index.ts";
import type { RequestHandler } from "../../link/peer/index.ts";
import { systemClock } from "./clock.ts";
import type { EndpointSwitch } from "./endpoint-switch.ts";
import type { Runtimes } from "./loaded-revisions.ts";
import { rollBack } from "./rollback.ts";

/** What the requests act on. */
export interface GatewayActions {
  /** The endpoint's switch; one is made where the name is new. */
  endpoint(name: EndpointSwitch["endpoint"]): EndpointSwitch;
  /** An endpoint that has a route; null means the only one. */
  servedEndpoint(name: string | null): EndpointSwitch;
  status(): GatewayStatus;
  overrideMade(override: Override): void;
  drain(timeoutMs: number): Promise<void>;
}

type Kind = keyof typeof GATEWAY_REQUESTS;

type Handlers = {
  readonly [K in Kind]: (body: z.infer<(typeof GATEWAY_REQUESTS)[K]>) => unknown;
};

/** Reads a body before its handler sees it. */
function checked<K extends Kind>(kind: K, handle: Handlers[K]): (body: unknown) => unknown {
  return (body) => {
    const parsed = GATEWAY_REQUESTS[kind].safeParse(body);
    if (parsed.success) return handle(parsed.data as z.infer<(typeof GATEWAY_REQUESTS)[K]>);
    throw new LastgoodError("link.invalid", `${kind} was not understood: ${parsed.error.message}`);
  };
}

function handlers(gateway: GatewayActions, runtimes: Runtimes, clock: Clock): Handlers {
  return {
    "route.publish": ({ route }) => gateway.endpoint(route.endpoint).publish(route),
    "route.drained": ({ endpoint, since, timeoutMs }) =>
      gateway.servedEndpoint(endpoint).drained(since, timeoutMs),
    "endpoint.probe": ({ endpoint, revision, apart }) =>
      gateway.servedEndpoint(endpoint).probe(revision, { apart }),
    "version.inspect": (request) =>
      runtimes[request.runtime.kind].inspect({
        ...request,
        examples: request.examples.map((inputs) => inputs.map(tensorFromWire)),
      }),
    "gateway.rollback": (command) => {
      const startedAt = clock.monotonic();
      return rollBack(gateway.servedEndpoint(command.endpoint), command, {
        startedAt,
        clock,
        onOverride: (override) => gateway.overrideMade(override),
      });
    },
    "gateway.status": () => gateway.status(),
    "gateway.drain": async ({ timeoutMs }) => {
      await gateway.drain(timeoutMs);
      return {};
    },
  };
}

/** Answers what the control plane, the supervisor and the CLI ask of a gateway. */
export function gatewayRequests(
  gateway: GatewayActions,
  runtimes: Runtimes,
  clock: Clock = systemClock,
): RequestHandler {
  const all = handlers(gateway, runtimes, clock);
  const answers = new Map(
    (Object.keys(GATEWAY_REQUESTS) as Kind[]).map((kind) => [
      kind as string,
      checked(kind, all[kind]),
    ]),
  );
  return async (frame) => {
    const answer = answers.get(frame.kind);
    if (answer === undefined)
      throw new LastgoodError("link.invalid", `a gateway does not know ${frame.kind}`);
    return { body: await answer(frame.body) };
  };
}
