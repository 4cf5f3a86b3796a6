import type { Diff, DiffRow } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { outputFromWire, type WireOutput, type WireSample } from "../../core/tensor/index.ts";
import {
  describeRuntime,
  describeSpec,
  goldenDifference,
  pipelineSteps,
  versionLabel,
} from "../../core/version/index.ts";
import { canonicalJson } from "../../storage/history/index.ts";
import type { StoredManifest, VersionRecord } from "../../storage/store/index.ts";
import type { RegistryDependencies } from "./dependencies.ts";

/** A version with its samples. */
export interface Compared {
  readonly record: VersionRecord;
  readonly manifest: StoredManifest;
}

type Section = DiffRow["section"];
type Fields = Readonly<Record<string, unknown>>;

function rowOf(section: Section, field: string, left: unknown, right: unknown): DiffRow {
  const numbers = typeof left === "number" && typeof right === "number";
  const equal = canonicalJson(left ?? null) === canonicalJson(right ?? null);
  return {
    section,
    field,
    left: left ?? null,
    right: right ?? null,
    equal,
    change: numbers ? right - left : null,
  };
}

function rowsOf(section: Section, left: Fields, right: Fields): DiffRow[] {
  const fields = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  return fields.map((field) => rowOf(section, field, own(left, field), own(right, field)));
}

function own(fields: Fields, field: string): unknown {
  return Object.hasOwn(fields, field) ? fields[field] : null;
}

function versionFields({ record }: Compared): Fields {
  return {
    name: record.name,
    sequence: record.sequence,
    digest: record.digest,
    status: record.status,
    aliases: record.aliases.join(", "),
    runtime: describeRuntime(record.runtime),
    ...stepFields(record),
    batching: record.batching.on ? "on" : `off: ${record.batching.why}`,
    engine: `${record.engine.name} ${record.engine.version}`,
    registered: new Date(record.registeredAt).toISOString(),
    by: record.registeredBy,
  };
}

/** The file of each step and its digest, where there are several. */
function stepFields({ runtime, files }: VersionRecord): Fields {
  const steps = runtime.kind === "onnx" ? pipelineSteps(runtime) : [];
  if (steps.length < 2) return {};
  return Object.fromEntries(
    steps.map(({ step, file }) => {
      const digest = files.find((each) => each.path === file)?.digest ?? "";
      return [`step ${step}`, `${file} ${digest}`];
    }),
  );
}

function signatureFields({ record }: Compared): Fields {
  return Object.fromEntries([
    ...record.signature.inputs.map((spec) => [`input ${spec.name}`, describeSpec(spec)]),
    ...record.signature.outputs.map((spec) => [`output ${spec.name}`, describeSpec(spec)]),
  ]) as Fields;
}

function fileFields({ record }: Compared): Fields {
  return Object.fromEntries(record.files.map((file) => [file.path, file.digest]));
}

/** What an output says, for people: its elements, or its rows of maps. */
function valuesOf(output: WireOutput | undefined): unknown {
  if (output === undefined) return null;
  if (!("kind" in output)) return output.data;
  return Array.from({ length: output.rows }, (_, row) =>
    Object.fromEntries(
      output.keys.map((key, column) => [
        String(key),
        output.values[row * output.keys.length + column],
      ]),
    ),
  );
}

function sampleRows(number: number, left: WireSample, right: WireSample): DiffRow[] {
  const names = [...left.outputs, ...right.outputs].map((output) => output.name);
  return [...new Set(names)].map((name) => {
    const a = left.outputs.find((output) => output.name === name);
    const b = right.outputs.find((output) => output.name === name);
    const equal =
      a !== undefined &&
      b !== undefined &&
      goldenDifference([outputFromWire(a)], [outputFromWire(b)]) === null;
    const row = rowOf("samples", `sample ${number} ${name}`, valuesOf(a), valuesOf(b));
    return { ...row, equal, change: null };
  });
}

/** Right's answers to left's samples: those recorded, else run now. */
async function answersOf(
  right: Compared,
  left: Compared,
  inspect: RegistryDependencies["inspect"],
): Promise<readonly WireSample[]> {
  const recorded = new Set(right.manifest.golden.map((sample) => canonicalJson(sample.inputs)));
  const all = left.manifest.golden.every((sample) => recorded.has(canonicalJson(sample.inputs)));
  if (all) return right.manifest.golden;
  const { digest, runtime, files } = right.record;
  const inspected = await inspect({
    digest,
    runtime,
    files: [...files],
    signature: null,
    examples: left.manifest.golden.map((sample) => sample.inputs),
  });
  return inspected.golden;
}

async function samplesSection(
  left: Compared,
  right: Compared,
  inspect: RegistryDependencies["inspect"],
): Promise<DiffRow[]> {
  let answers: readonly WireSample[];
  try {
    answers = await answersOf(right, left, inspect);
  } catch (error) {
    const why = `could not be run on the same inputs: ${LastgoodError.from(error).message}`;
    return [rowOf("samples", "samples", `${left.manifest.golden.length} recorded`, why)];
  }
  const byInputs = new Map(answers.map((sample) => [canonicalJson(sample.inputs), sample]));
  return left.manifest.golden.flatMap((sample, index) => {
    const answer = byInputs.get(canonicalJson(sample.inputs));
    const number = index + 1;
    if (answer !== undefined) return sampleRows(number, sample, answer);
    return [rowOf("samples", `sample ${number}`, "answered", "threw on this input")];
  });
}

/**
 * Two versions side by side, every field of each section, equal or not. Sample outputs are compared
 * on the same inputs, within the tolerance of golden samples: `left`'s samples are run on `right`
 * where it recorded others.
 */
export async function compareVersions(
  left: Compared,
  right: Compared,
  inspect: RegistryDependencies["inspect"],
): Promise<Diff> {
  return {
    model: left.record.model,
    left: versionLabel(left.record),
    right: versionLabel(right.record),
    rows: [
      ...rowsOf("version", versionFields(left), versionFields(right)),
      ...rowsOf("metrics", left.record.metrics, right.record.metrics),
      ...rowsOf("params", left.record.params, right.record.params),
      ...rowsOf("tags", left.record.tags, right.record.tags),
      ...rowsOf("lineage", left.record.lineage, right.record.lineage),
      ...rowsOf("signature", signatureFields(left), signatureFields(right)),
      ...rowsOf("files", fileFields(left), fileFields(right)),
      ...(await samplesSection(left, right, inspect)),
    ],
  };
}
