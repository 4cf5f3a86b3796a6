import type { Revision } from "../../core/endpoint/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import {
  revisionOf,
  revisionsLeft,
  type Asked,
  type EndpointState,
} from "../../core/rollout/index.ts";
import { namedObjection, type TargetChoice } from "../../core/target/index.ts";
import { versionLabel } from "../../core/version/index.ts";
import type { VersionRecord } from "../../storage/store/index.ts";
import type { Endpoints } from "./endpoints.ts";
import { versionFacts } from "./version-catalog.ts";

/** The version a person means at this endpoint: `v1.1`, `3`, `@champion`, `fraud@v1.1`. */
export async function namedVersion(
  endpoints: Endpoints,
  state: EndpointState,
  text: string,
): Promise<VersionRecord> {
  const { model } = state.identity;
  const qualified = /[@:/]/.test(text) && !text.startsWith("@");
  if (!qualified) return endpoints.deps.select(model, text);
  const version = await endpoints.deps.resolve(text);
  if (version.model === model) return version;
  throw new LastgoodError(
    "endpoint.other-model",
    `${state.identity.name} serves ${model}, not ${version.model}`,
  );
}

/** @throws `current.mismatch` unless the named version is what serves. */
export async function checkCurrent(
  endpoints: Endpoints,
  state: EndpointState,
  expected: string,
): Promise<void> {
  const current = revisionOf(state, state.current);
  const version = await namedVersion(endpoints, state, expected);
  if (current?.version.sequence === version.sequence) return;
  const serving = current === undefined ? "nothing" : versionLabel(current.version);
  throw new LastgoodError(
    "current.mismatch",
    `${state.identity.name} serves ${serving}, not ${versionLabel(version)}: nothing was done`,
    { hint: "`lastgood status` shows what serves now", details: { current: serving } },
  );
}

/**
 * @throws `current.mismatch` unless the named version is what the rollback leaves: in a rollout its
 * candidate. What one that it joins or repeats left is meant as well.
 */
export async function checkLeft(
  endpoints: Endpoints,
  state: EndpointState,
  expected: string,
  asked: Asked,
): Promise<void> {
  const left = revisionsLeft(state, asked, endpoints.deps.clock.now());
  const version = await namedVersion(endpoints, state, expected);
  if (left.some((each) => each.version.sequence === version.sequence)) return;
  const first = left[0];
  const leaving = first === undefined ? "nothing" : versionLabel(first.version);
  throw new LastgoodError(
    "current.mismatch",
    `a rollback of ${state.identity.name} would leave ${leaving}, not ${versionLabel(version)}: nothing was done`,
    {
      hint: "`lastgood status` shows what serves; while a version is rolled out, a rollback leaves that one",
      details: { current: leaving },
    },
  );
}

/** The endpoint's newest revision of the version, a trusted one before others. */
function revisionServing(state: EndpointState, version: VersionRecord): Revision | null {
  const of = state.revisions.filter(
    (revision) =>
      revision.version.sequence === version.sequence && revision.digest === version.digest,
  );
  const trusted = of.filter((revision) => revision.status === "stable");
  return trusted.at(-1) ?? of.at(-1) ?? null;
}

/**
 * The named version as the only target, proven as any target is.
 * @throws `target.unproven` with the reason; `force` overlooks status, signature and samples, never
 * a digest.
 */
export async function namedTarget(
  endpoints: Endpoints,
  state: EndpointState,
  version: VersionRecord,
  options: { readonly force: boolean; readonly revision: number | null; readonly actor: string },
): Promise<TargetChoice> {
  const facts = versionFacts(version);
  const known = await endpoints.chooser.factsAbout(state, version, 0);
  if (known === null)
    throw new LastgoodError("target.none", `${state.identity.name} serves nothing yet`, {
      hint: `\`lastgood deploy ${version.model}@${versionLabel(version)} --to ${state.identity.name}\``,
    });
  const revision =
    options.revision === null
      ? revisionServing(state, version)
      : (revisionOf(state, options.revision) ?? null);
  const objection = namedObjection(facts, revision, known, { force: options.force });
  const proof = known.proof(version.digest);
  if (objection !== null) {
    const label = versionLabel(version);
    const bytes = !proof.holds && proof.samplesOnly !== true;
    throw new LastgoodError(
      "target.unproven",
      `${state.identity.name} cannot go back to ${label}: ${objection}`,
      {
        hint: bytes
          ? "its stored bytes are not what was registered; choose another version"
          : "choose another with --version, or insist with --force",
        passedOver: [{ version: label, why: objection }],
      },
    );
  }
  return {
    targets: [
      {
        revision: revision?.revision ?? null,
        version: facts,
        warm: proof.holds && proof.warm,
        provenAt: proof.holds ? proof.provenAt : null,
        why: `named by ${options.actor}`,
        ...(proof.holds ? {} : { withoutSamples: true }),
      },
    ],
    passedOver: [],
  };
}
