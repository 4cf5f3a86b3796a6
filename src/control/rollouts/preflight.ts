import { LastgoodError } from "../../core/errors/index.ts";
import { revisionOf, type EndpointState, type Rollout } from "../../core/rollout/index.ts";
import { notFiniteObjection, sampleFromWire, versionLabel } from "../../core/version/index.ts";
import type { EndpointDeps } from "./deps.ts";

type Deps = { readonly store: { readonly versions: Pick<Versions, "manifest"> } };
type Versions = EndpointDeps["store"]["versions"];

async function samplesOf(
  { store }: Deps,
  state: EndpointState,
  revision: number,
): Promise<{ readonly label: string; readonly golden: ReturnType<typeof sampleFromWire>[] }> {
  const version = revisionOf(state, revision)?.version;
  const manifest =
    version === undefined
      ? null
      : await store.versions.manifest(state.identity.model, version.sequence);
  const golden = (manifest?.golden ?? []).map(sampleFromWire);
  return { label: version === undefined ? "nothing" : versionLabel(version), golden };
}

/**
 * Why a candidate is rejected before it is loaded, or null: its golden outputs hold a NaN or an infinity
 * where those of what serves hold none. The error names sample and output.
 * @throws `store.unavailable`.
 */
export async function preflightObjection(
  deps: Deps,
  state: EndpointState,
  { candidate, from }: Rollout,
): Promise<LastgoodError | null> {
  if (from === null) return null;
  const own = await samplesOf(deps, state, candidate);
  const stable = await samplesOf(deps, state, from);
  const objection = notFiniteObjection(own.golden, stable.golden);
  if (objection === null) return null;
  return new LastgoodError(
    "preflight.rejected",
    `${objection}; no golden sample of ${stable.label} holds a NaN or an infinity there`,
    {
      hint: "callers would get errors: fix the model, or deploy it to an endpoint of its own with --to",
    },
  );
}
