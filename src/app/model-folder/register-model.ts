import type { LastgoodClient } from "../../client/index.ts";
import type { ReferenceFile, RegisterBody, Registered } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { UNREAD_LAUNCHER } from "../../core/launcher/index.ts";
import { signatureSchema, type Signature } from "../../core/version/index.ts";
import { uploadFiles, type ModelFile } from "./model-files.ts";
import type { FoundModel } from "./read-model.ts";

/** What is registered, and what a person or another registry says of it beside its folder. */
export interface Registering {
  readonly model: string;
  readonly found: FoundModel;
  /** Wins over what the folder says, key by key; an example of its own is not optional. */
  readonly said: Pick<
    RegisterBody,
    "name" | "metrics" | "params" | "tags" | "lineage" | "actor"
  > & {
    /** The remote that serves it instead of an engine of ours. */
    readonly remote?: string | null;
    /** The launcher that starts its server instead of the one that the folder needs. */
    readonly launcher?: string | null;
    /** What it takes and gives, where nothing else says so. */
    readonly signature?: Signature | null;
    readonly inputExample?: unknown;
    /** Rows of inputs as they should look. */
    readonly reference?: {
      readonly file: ModelFile;
      readonly format: ReferenceFile["format"];
    } | null;
  };
}

/** The launcher of its folder; a signature that somebody wrote is there to be read by. */
function launcherOf({ found, said }: Registering): string | null {
  if (said.launcher !== undefined && said.launcher !== null) return said.launcher;
  const isSaid = said.signature !== undefined && said.signature !== null;
  return found.launcher === UNREAD_LAUNCHER && isSaid ? "mlflow" : found.launcher;
}

/** What serves it: the remote or launcher that was named, the one its folder needs, else our engine. */
function servedBy(registering: Registering): Pick<RegisterBody, "runtime" | "remote" | "launcher"> {
  const remote = registering.said.remote ?? null;
  const launcher = launcherOf(registering);
  if (remote !== null) return { runtime: "remote", remote, launcher: null };
  return { runtime: launcher === null ? "onnx" : "process", remote, launcher };
}

/** The body that registers it. */
export function registerBody(registering: Registering): RegisterBody {
  const { found, said } = registering;
  const served = servedBy(registering);
  const reference = said.reference ?? null;
  const isUnread = served.launcher === UNREAD_LAUNCHER;
  const isDescribed = served.runtime === "process" && !isUnread;
  const signature = said.signature ?? (isDescribed ? found.signature : null);
  return {
    name: said.name,
    files: found.files.map((file) => ({ path: file.name, digest: file.digest })),
    ...served,
    steps: { ...found.steps },
    signature: signature === null ? null : signatureSchema.parse(signature),
    columns: served.runtime === "onnx" && found.columns !== null ? [...found.columns] : null,
    arrays: served.runtime !== "remote" && !isUnread && found.arrays,
    inputExample: said.inputExample ?? (isUnread ? null : found.inputExample),
    reference:
      reference === null ? null : { digest: reference.file.digest, format: reference.format },
    metrics: said.metrics,
    params: said.params,
    tags: { ...found.tags, ...said.tags },
    lineage: { ...found.lineage, ...said.lineage },
    actor: said.actor,
  };
}

/** What takes a while, told before it begins. */
export interface SlowSteps {
  /** A large file is uploaded. */
  readonly onLarge?: (file: ModelFile) => void;
  /** The version's own server is started once, to be looked into, and what it requires is installed. */
  readonly onStart?: () => void;
}

/**
 * Uploads the files and registers the version. An example that only the folder gives and that does
 * not fit the model is left out, and a note says so.
 * @throws what uploading and registering throw.
 */
export async function registerModel(
  client: LastgoodClient,
  registering: Registering,
  { onLarge = () => undefined, onStart = () => undefined }: SlowSteps,
): Promise<Registered> {
  const { model, found, said } = registering;
  const body = registerBody(registering);
  const rows = said.reference ?? null;
  const uploads = rows === null ? found.files : [...found.files, rows.file];
  await uploadFiles(client, uploads, onLarge);
  if (body.runtime === "process") onStart();
  try {
    return await client.register(model, body);
  } catch (error) {
    const misfit = LastgoodError.from(error);
    const isOwn = (said.inputExample ?? null) !== null;
    if (misfit.code !== "input.invalid" || isOwn || found.inputExample === null) throw error;
    const registered = await client.register(model, { ...body, inputExample: null });
    const note = `the folder's own input example was not used: ${misfit.message}`;
    return { ...registered, notes: [...registered.notes, note] };
  }
}
