import { LastgoodError, pathText, plainIssues, plainWords } from "../../core/errors/index.ts";
import { signatureSchema, type Signature } from "../../core/version/index.ts";
import { readJsonFile } from "../model-folder/index.ts";

/** The signature in a JSON file. @throws `usage.invalid` where it holds none. */
export function readSignature(path: string): Signature {
  const parsed = signatureSchema.safeParse(readJsonFile(path), { error: plainWords });
  if (parsed.success) return parsed.data;
  throw new LastgoodError(
    "usage.invalid",
    `${path} is no signature: ${plainIssues(parsed.error)
      .map((issue) => `${pathText(issue.path)}: ${issue.message}`)
      .join("; ")}`,
    {
      hint: '{"inputs": [{"name": "x", "kind": "tensor", "dtype": "FP64", "shape": [-1, 4]}], "outputs": [{"name": "y", "kind": "tensor", "dtype": "INT64", "shape": [-1]}]}',
    },
  );
}
