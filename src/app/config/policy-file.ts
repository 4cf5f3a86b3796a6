import { LastgoodError } from "../../core/errors/index.ts";
import type { EndpointPolicy } from "../../core/policy/index.ts";

/** A policy as its file has it, and what it means. */
export interface PolicyDocument {
  readonly written: Readonly<Record<string, unknown>>;
  readonly endpoint: EndpointPolicy;
}

/**
 * The policies of a file, one per document.
 * @throws `config.invalid` with line and column; also where there is none, or two for one endpoint.
 */
export async function readPolicyFile(path: string): Promise<readonly PolicyDocument[]> {
  // Few verbs read one: the others do not load what it takes.
  const { endpointPolicySchema } = await import("../../core/policy/index.ts");
  const { readYamlDocuments } = await import("./yaml-file.ts");
  const documents = readYamlDocuments(path, endpointPolicySchema);
  if (documents.length === 0)
    throw new LastgoodError("config.invalid", `${path} holds no policy`, {
      hint: "the least is: model: fraud",
    });
  const lines = new Map<string, number>();
  for (const { value, line } of documents) {
    const before = lines.get(value.name);
    if (before !== undefined)
      throw new LastgoodError(
        "config.invalid",
        `${path}:${line}: ${value.name} has a policy already, in line ${before}`,
        { hint: "an endpoint has one policy: give the other one a name of its own" },
      );
    lines.set(value.name, line);
  }
  return documents.map(({ written, value }) => ({
    // A mapping: its schema took it.
    written: written as Readonly<Record<string, unknown>>,
    endpoint: value,
  }));
}

/** A policy as YAML text. */
export async function policyYaml(policy: Readonly<Record<string, unknown>>): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(policy);
}
