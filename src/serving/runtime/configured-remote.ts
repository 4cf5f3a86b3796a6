import { LastgoodError } from "../../core/errors/index.ts";
import type { RuntimeSpec } from "../../core/version/index.ts";

/**
 * The server that a version lives at, as the server's configuration has it under `remotes:`.
 * @param needed what else it has to be: ` with protocol: passthrough`
 * @throws `runtime.unavailable` when nothing of that name is configured.
 */
export function configuredRemote<T>(
  remotes: Readonly<Record<string, T>>,
  runtime: RuntimeSpec,
  needed = "",
): T {
  if (runtime.kind !== "remote")
    throw new LastgoodError("internal", `an ${runtime.kind} version came to the remote runtime`);
  const settings = Object.hasOwn(remotes, runtime.remote) ? remotes[runtime.remote] : undefined;
  if (settings !== undefined) return settings;
  throw new LastgoodError(
    "runtime.unavailable",
    `the server's configuration has no remote "${runtime.remote}"${needed}`,
    {
      hint: "add it under remotes: in the file that serve --config names, and restart",
      details: { remotes: Object.keys(remotes) },
    },
  );
}
