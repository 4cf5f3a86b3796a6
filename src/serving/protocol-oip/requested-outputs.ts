import type { Signature } from "../../core/version/index.ts";
import {
  described,
  isJsonObject,
  member,
  optionalMember,
  quoted,
  requestInvalid,
  type RequestedOutput,
} from "../protocol/index.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** Outputs to answer with; null: all of them, `binary` or not. */
interface RequestedOutputs {
  readonly outputs: readonly RequestedOutput[] | null;
  readonly binary: boolean;
}

function parametersOf(owner: JsonObject, where: string): JsonObject | null {
  const parameters = optionalMember(owner, "parameters");
  if (parameters === undefined) return null;
  if (isJsonObject(parameters)) return parameters;
  throw requestInvalid(`${where}parameters is ${described(parameters)}`, {
    where: `${where}parameters`,
    accepted: "an object",
  });
}

function flag(parameters: JsonObject | null, name: string, otherwise: boolean): boolean {
  const value = parameters === null ? undefined : member(parameters, name);
  if (value === undefined) return otherwise;
  if (typeof value === "boolean") return value;
  throw requestInvalid(`parameter ${name} is ${described(value)}`, {
    where: name,
    accepted: "true or false",
  });
}

/** Parameters that would change the answer and are not served: ignoring them would be a wrong answer. */
const REFUSED = ["classification", "shared_memory_region"];

function readOutput(value: unknown, index: number, binary: boolean): RequestedOutput {
  const where = `outputs[${index}]`;
  const name = isJsonObject(value) ? member(value, "name") : undefined;
  if (!isJsonObject(value) || typeof name !== "string") {
    throw requestInvalid(`${where} has no name`, { where, accepted: `an object with "name"` });
  }
  const parameters = parametersOf(value, `${where}.`);
  const refused = REFUSED.find(
    (each) => parameters !== null && member(parameters, each) !== undefined,
  );
  if (refused !== undefined) {
    throw requestInvalid(`${where}: the parameter ${refused} is not served here`, {
      where,
      accepted: "binary_data",
    });
  }
  return { name, binary: flag(parameters, "binary_data", binary) };
}

/**
 * The outputs a request asks for.
 * @throws `request.invalid` for one that the contract does not promise, or that is named twice.
 */
export function readRequestedOutputs(root: JsonObject, contract: Signature): RequestedOutputs {
  const binary = flag(parametersOf(root, ""), "binary_data_output", false);
  const value = optionalMember(root, "outputs");
  if (value === undefined) return { outputs: null, binary };
  if (!Array.isArray(value)) {
    throw requestInvalid(`outputs is ${described(value)}`, {
      where: "outputs",
      accepted: "an array",
    });
  }
  if (value.length === 0) return { outputs: null, binary };
  const outputs: RequestedOutput[] = [];
  const named = new Set<string>();
  for (let index = 0; index < value.length; index += 1) {
    const output = readOutput(value[index], index, binary);
    if (!contract.outputs.some((promised) => promised.name === output.name)) {
      throw requestInvalid(`there is no output ${quoted(output.name)}`, {
        where: `outputs[${index}].name`,
        accepted: contract.outputs.map((promised) => promised.name).join(", "),
      });
    }
    if (named.has(output.name)) {
      throw requestInvalid(`output ${quoted(output.name)} is asked for twice`, {
        where: `outputs[${index}].name`,
      });
    }
    named.add(output.name);
    outputs.push(output);
  }
  return { outputs, binary };
}
