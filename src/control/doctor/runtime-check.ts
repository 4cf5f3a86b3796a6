import type { DoctorCheck } from "../../core/api/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import { fine, note, warning, wrong } from "./finding.ts";

const OLDEST_NODE = 24;
const NATIVE_ENGINE = "onnxruntime-node";

/** Whether this Node is new enough; `version` as `process.version` gives it. */
export function checkNode(version: string): DoctorCheck {
  const major = Number(/^v?(\d+)/.exec(version)?.[1] ?? 0);
  return major >= OLDEST_NODE
    ? fine("node", `Node ${version}`)
    : wrong(
        "node",
        `Node ${version} is too old`,
        `start the server with Node ${OLDEST_NODE} or newer`,
      );
}

/** Which engines run the loaded versions. */
export function checkEngine(states: readonly RevisionState[]): DoctorCheck {
  const engines = new Map(
    states.flatMap(({ engine }) =>
      engine === null ? [] : [[`${engine.name} ${engine.version}`, engine.name] as const],
    ),
  );
  if (engines.size === 0) return note("engine", "no version is loaded, so no engine is running");
  const named = [...engines.keys()].join(", ");
  if ([...engines.values()].includes("onnxruntime-web"))
    return warning(
      "engine",
      `${named}: the native engine is missing, WebAssembly stands in and is slower`,
      `install ${NATIVE_ENGINE} for this system (Linux with glibc, macOS or Windows) and restart`,
    );
  return fine("engine", named);
}
