import type { DoctorCheck } from "../../core/api/index.ts";
import type { RevisionState } from "../../link/message/index.ts";
import type { PeerIdentity } from "../../link/peer/index.ts";
import { checkArtifacts, type ArtifactCheckDeps } from "./artifact-check.ts";
import { checkFreeSpace, checkWritable } from "./folder-check.ts";
import { findModelProcesses, orphansAmong } from "./process-check.ts";
import { checkEngine, checkNode } from "./runtime-check.ts";
import { checkStore } from "./store-check.ts";

/** What the general checks look at. */
export interface GeneralCheckDeps extends ArtifactCheckDeps {
  readonly dataDir: string;
  readonly storePath: string;
  readonly socketFolder: string;
  readonly self: PeerIdentity;
  /** What gateways say of the revisions they have loaded. */
  readonly revisionStates: readonly RevisionState[];
}

/**
 * Everything of doctor that no endpoint has to be asked about: Node and engine, data folder, store,
 * stored files, processes. `named` are the subjects `endpoint/revision` that routes name.
 */
export async function generalChecks(
  deps: GeneralCheckDeps,
  named: ReadonlySet<string>,
): Promise<readonly DoctorCheck[]> {
  const [writable, space, artifacts, processes] = await Promise.all([
    checkWritable(deps.dataDir),
    checkFreeSpace(deps.dataDir),
    checkArtifacts(deps),
    findModelProcesses(deps.socketFolder, deps.self),
  ]);
  return [
    checkNode(process.version),
    checkEngine(deps.revisionStates),
    writable,
    space,
    checkStore(deps.storePath),
    ...artifacts,
    orphansAmong(processes, named),
  ];
}
