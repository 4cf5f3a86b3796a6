import type { DoctorCheck } from "../../core/api/index.ts";
import { versionLabel, type Digest } from "../../core/version/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";
import type { Store, VersionRecord } from "../../storage/store/index.ts";
import { fine, wrong } from "./finding.ts";

const PAGE = 200;

/** What the check reads. */
export interface ArtifactCheckDeps {
  readonly store: Pick<Store, "models" | "versions">;
  readonly artifacts: Pick<Artifacts, "verify">;
}

async function* everyModel(store: ArtifactCheckDeps["store"]): AsyncGenerator<string> {
  let after = "";
  for (;;) {
    const models = await store.models.list({ after, limit: PAGE });
    for (const { name } of models) yield name;
    const last = models.at(-1);
    if (last === undefined) return;
    after = last.name;
  }
}

async function* everyVersion(store: ArtifactCheckDeps["store"]): AsyncGenerator<VersionRecord> {
  for await (const model of everyModel(store)) {
    let after = 0;
    for (;;) {
      const versions = await store.versions.list({ model, after, limit: PAGE });
      yield* versions;
      const last = versions.at(-1);
      if (last === undefined) break;
      after = last.sequence;
    }
  }
}

/** Re-hashes every stored file of every version, each file once; one finding per damaged version. */
export async function checkArtifacts(deps: ArtifactCheckDeps): Promise<readonly DoctorCheck[]> {
  const verdicts = new Map<Digest, string>();
  const findings: DoctorCheck[] = [];
  for await (const version of everyVersion(deps.store)) {
    const bad: string[] = [];
    for (const { path, digest } of version.files) {
      const verdict = verdicts.get(digest) ?? (await deps.artifacts.verify(digest));
      verdicts.set(digest, verdict);
      if (verdict === "corrupt") bad.push(`${path} does not match its digest`);
      if (verdict === "missing") bad.push(`${path} is missing`);
    }
    if (bad.length === 0) continue;
    const who = `${version.model}@${versionLabel(version)}`;
    findings.push(
      wrong(
        "artefacts",
        `${who}: ${bad.join(", ")}`,
        `while it is loaded it still serves, once cold it cannot be rolled back to: upload the same bytes again (lastgood register ${version.model} …)`,
      ),
    );
  }
  return findings.length > 0
    ? findings
    : [fine("artefacts", `${verdicts.size} stored files match their digests`)];
}
