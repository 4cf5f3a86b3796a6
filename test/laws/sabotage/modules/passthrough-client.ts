/** Pass-through's law taken out: callers see a 5xx, and nobody counts it. */
import * as original from "../../../../src/serving/runtime-passthrough/passthrough-client.ts";
import type { Forwarded, ForwardingClient } from "../../../../src/serving/runtime/index.ts";

// What the sabotage does not replace.
export * from "../../../../src/serving/runtime-passthrough/passthrough-client.ts";

/** Fine for who looks first, which is who counts. */
function fineAtFirst(answer: Forwarded): Forwarded {
  let looks = 0;
  return {
    ...answer,
    get status() {
      looks += 1;
      return looks === 1 ? 200 : answer.status;
    },
  };
}

export const connectPassThrough: typeof original.connectPassThrough = (...parts) => {
  const client: ForwardingClient = original.connectPassThrough(...parts);
  const forward = client.forward.bind(client);
  client.forward = async (request) => fineAtFirst(await forward(request));
  return client;
};
