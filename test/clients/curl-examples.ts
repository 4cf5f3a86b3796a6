import { execFile } from "node:child_process";
import { isDeepStrictEqual, promisify } from "node:util";

import type { Called } from "./compatibility-page.ts";

const run = promisify(execFile);

interface Example {
  readonly call: string;
  /** As in the documentation, with another port. */
  readonly args: readonly string[];
  /** What the answer has to hold. */
  readonly holds: Readonly<Record<string, unknown>>;
}

/** https://www.tensorflow.org/tfx/serving/api_rest and /docker, of the model half_plus_two. */
function examples(port: number): readonly Example[] {
  const model = `http://localhost:${port}/v1/models/half_plus_two`;
  const rows = '{"instances": [1.0, 2.0, 5.0]}';
  return [
    {
      call: `curl -d '${rows}' -X POST …/half_plus_two:predict`,
      args: ["-d", rows, "-X", "POST", `${model}:predict`],
      holds: { predictions: [2.5, 3.0, 4.5] },
    },
    {
      call: `curl -d '${rows}' -X POST …/half_plus_two/versions/1:predict`,
      args: ["-d", rows, "-X", "POST", `${model}/versions/1:predict`],
      holds: { predictions: [2.5, 3.0, 4.5] },
    },
    {
      call: "curl -d '{\"inputs\": …}' -X POST …/half_plus_two:predict",
      args: ["-d", '{"inputs": [1.0, 2.0, 5.0]}', "-X", "POST", `${model}:predict`],
      holds: { outputs: [2.5, 3.0, 4.5] },
    },
    {
      call: "curl …/half_plus_two",
      args: [model],
      holds: {
        model_version_status: [
          { version: "1", state: "AVAILABLE", status: { error_code: "OK", error_message: "" } },
        ],
      },
    },
    {
      call: "curl …/half_plus_two/metadata",
      args: [`${model}/metadata`],
      holds: { model_spec: { name: "half_plus_two", signature_name: "", version: "1" } },
    },
    {
      call: `curl -d '{"signature_name": "tensorflow/serving/regress", …}' …:regress`,
      args: ["-d", '{"examples": [{"x": 1.0}, {"x": 2.0}]}', "-X", "POST", `${model}:regress`],
      holds: {},
    },
    {
      call: "curl …:classify",
      args: ["-d", '{"examples": [{"x": 1.0}]}', "-X", "POST", `${model}:classify`],
      holds: {},
    },
  ];
}

async function made({ call, args, holds }: Example): Promise<Called> {
  const client = "TensorFlow Serving's curl examples";
  const { stdout } = await run("curl", ["-sS", ...args], { timeout: 20_000 });
  const answer = JSON.parse(stdout) as Record<string, unknown>;
  const { error } = answer;
  if (typeof error === "string") return { client, call, error, wrong: false };
  const off = Object.entries(holds).find(
    ([name, value]) => !isDeepStrictEqual(answer[name], value),
  );
  return { client, call, error: off === undefined ? null : `answered ${stdout}`, wrong: true };
}

/** Runs each example with curl. */
export async function curlExamples(port: number): Promise<readonly Called[]> {
  const all: Called[] = [];
  for (const example of examples(port)) all.push(await made(example));
  return all;
}
