import type { RegisterBody } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { BUILT_IN_NAMES } from "../../core/launcher/index.ts";
import type { RuntimeSpec } from "../../core/version/index.ts";

type Given = Pick<RegisterBody, "files" | "launcher" | "remote" | "runtime" | "steps">;

function findModel(paths: readonly string[]): string {
  const models = paths.filter((path) => path.endsWith(".onnx"));
  const usual = models.filter((path) => path === "model.onnx" || path.endsWith("/model.onnx"));
  const only = models.length === 1 ? models[0] : usual.length === 1 ? usual[0] : undefined;
  if (only !== undefined) return only;
  const given = paths.length === 0 ? "no file was given" : `the files are ${paths.join(", ")}`;
  throw new LastgoodError("input.invalid", `which file is the model? ${given}`, {
    hint: "give one .onnx file, or several of which one is called model.onnx",
    details: { files: paths },
  });
}

function checkSteps(steps: Given["steps"], paths: readonly string[]): void {
  const named = Object.entries(steps).filter(([, file]) => file !== null);
  for (const [step, file] of named) {
    if (file === null || paths.includes(file)) continue;
    throw new LastgoodError("input.invalid", `${file}, the ${step} step, is not among the files`, {
      hint: `the files are ${paths.join(", ") || "none"}`,
      details: { step, file, files: paths },
    });
  }
  const files = named.map(([, file]) => file);
  if (new Set(files).size < files.length)
    throw new LastgoodError("input.invalid", `one file is two steps: ${files.join(", ")}`);
}

/**
 * What serves a version that is being registered.
 * @throws `input.invalid` when it cannot be told which file is which.
 */
export function runtimeOf({ files, launcher, remote, runtime, steps }: Given): RuntimeSpec {
  const paths = files.map((file) => file.path);
  checkSteps(steps, paths);
  const { preprocess, postprocess } = steps;
  if (runtime === "onnx") {
    const others = paths.filter((path) => path !== preprocess && path !== postprocess);
    return {
      kind: "onnx",
      file: steps.model ?? findModel(others),
      ...(preprocess === null ? {} : { preprocess }),
      ...(postprocess === null ? {} : { postprocess }),
    };
  }
  if (runtime === "process") {
    if (launcher !== null && launcher !== "") return { kind: "process", launcher };
    throw new LastgoodError("input.invalid", "the process runtime needs the launcher's name", {
      hint: `name one that is built in (${BUILT_IN_NAMES}) or in the server's configuration: --launcher NAME`,
    });
  }
  if (remote !== null && remote !== "") return { kind: "remote", remote };
  throw new LastgoodError("input.invalid", "the remote runtime needs the remote's name", {
    hint: "name one of the remotes in the server's configuration: --remote NAME",
  });
}
