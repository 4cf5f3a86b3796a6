import type { EndpointState } from "../../core/rollout/index.ts";
import type { Target } from "../../core/target/index.ts";
import type { StoredManifest } from "../../storage/store/index.ts";
import type { Endpoints } from "./endpoints.ts";

/** Loading takes about this long per 100 MB, with a process to start (RUNTIME.md section 5), s. */
const COLD_START_SECONDS = 0.15;
const COLD_SECONDS_PER_BYTE = 0.3 / 100_000_000;

/**
 * How long a version that is not loaded takes until it answers, s: reading its files, and of a managed
 * server its own start, which took `startedInMs` the last time it was seen, else when it was registered.
 */
export function coldSeconds(
  { files, process }: Pick<StoredManifest, "files" | "process">,
  startedInMs: number | null,
): number {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const ownMs = startedInMs ?? process?.startedInMs ?? 0;
  return COLD_START_SECONDS + bytes * COLD_SECONDS_PER_BYTE + ownMs / 1_000;
}

/** How long a rollback to the target takes until it answers, s; 0 where it is warm, or there is none. */
export async function expectedSeconds(
  { catalog, deps }: Endpoints,
  { identity }: EndpointState,
  target: Target | undefined,
): Promise<number> {
  if (target === undefined || target.warm) return 0;
  const { digest, sequence } = target.version;
  return coldSeconds(
    await catalog.manifest(identity.model, sequence),
    deps.gateways.startedInMs(digest),
  );
}
