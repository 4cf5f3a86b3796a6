import type * as z from "zod";

import type { Strategy } from "../endpoint/index.ts";
import { plainWords } from "../errors/index.ts";
import { policyMistakes } from "./check.ts";
import { policyFileSchema, policyPartSchema } from "./file-schema.ts";
import { refusePolicy, type Mistake } from "./mistake.ts";
import { readHead, readPart } from "./normalise.ts";
import type { EndpointPolicy, Policy } from "./policy.ts";

function tell(context: z.RefinementCtx, mistakes: readonly Mistake[]): void {
  for (const { path, message } of mistakes)
    context.addIssue({ code: "custom", path: [...path], message });
}

/** Reads `lastgood.yaml`: what it leaves out is filled in, what contradicts itself is refused. */
export const endpointPolicySchema: z.ZodType<EndpointPolicy> = policyFileSchema.transform(
  (file, context): EndpointPolicy => {
    const { value, mistakes } = readPart(file);
    tell(context, mistakes.length > 0 ? mistakes : policyMistakes(value));
    return { ...readHead(file), policy: value };
  },
);

/** `lastgood.yaml` as people write it; each key but `model` may be left out. */
export type PolicyFile = z.input<typeof policyFileSchema>;

/**
 * The policy and the endpoint that a file's content means.
 * @throws `config.invalid` with every mistake and where it is.
 */
export function parseEndpointPolicy(file: unknown): EndpointPolicy {
  const parsed = endpointPolicySchema.safeParse(file, { error: plainWords });
  return parsed.success ? parsed.data : refusePolicy(parsed.error);
}

/** Read once each: every deploy that asks for another strategy wants one. */
const defaults = new Map<Strategy, Policy>();

/** What applies where no file says anything. */
export function defaultPolicy(strategy: Strategy): Policy {
  const known = defaults.get(strategy);
  if (known !== undefined) return known;
  const read = readPart(policyPartSchema.parse({ rollout: { [strategy]: {} } })).value;
  defaults.set(strategy, read);
  return read;
}
