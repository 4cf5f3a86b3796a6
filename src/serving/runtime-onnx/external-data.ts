import { LastgoodError } from "../../core/errors/index.ts";
import { encodeField, integersOf, messageOf, rawOf, readFields, textOf } from "./protobuf.ts";

/*
 * Weights beside the model: a tensor whose data_location is EXTERNAL names file, offset and length
 * (onnx.proto, TensorProto; https://onnx.ai/onnx/repo-docs/ExternalData.html). mlflow.onnx.log_model and
 * onnx.save_model write them for weights of 1 kB and more. The engine is given bytes and no folder, so
 * they are put where other models have them.
 */
const MODEL = { graph: 7 } as const;
const GRAPH = { initializer: 5 } as const;
const TENSOR = { name: 8, rawData: 9, externalData: 13, dataLocation: 14 } as const;
const ENTRY = { key: 1, value: 2 } as const;
const EXTERNAL = 1n;
/** A protobuf message ends here, and so does what the engine takes, bytes. */
const MAX_BYTES = 2 ** 31 - 1;

interface Place {
  readonly name: string;
  /** Path from the model's own folder. */
  readonly location: string;
  readonly offset: number;
  readonly length: number | null;
}

function entryOf(entry: Uint8Array): readonly [string, string] {
  let key = "";
  let value = "";
  for (const field of readFields(entry)) {
    if (field.number === ENTRY.key) key = textOf(field);
    else if (field.number === ENTRY.value) value = textOf(field);
  }
  return [key, value];
}

function countOf(text: string | undefined, name: string): number | null {
  if (text === undefined) return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw unusable(name, `at "${text}", which is no place in a file`);
}

function unusable(name: string, why: string): LastgoodError {
  return new LastgoodError(
    "artifact.invalid",
    `the model keeps the data of "${name}" in another file (external data), ${why}`,
    {
      hint: "register the folder that holds the model and the files beside it, or save it as one file: onnx.save_model(model, path, save_as_external_data=False)",
      details: { tensor: name },
    },
  );
}

/** Where a tensor's data lies, null where it is in the tensor itself. */
function placeOf(tensor: Uint8Array): Place | null {
  let name = "";
  let isExternal = false;
  const entries: (readonly [string, string])[] = [];
  for (const field of readFields(tensor)) {
    if (field.number === TENSOR.name) name = textOf(field);
    else if (field.number === TENSOR.dataLocation)
      isExternal = integersOf(field).at(-1) === EXTERNAL;
    else if (field.number === TENSOR.externalData) entries.push(entryOf(messageOf(field)));
  }
  if (!isExternal) return null;
  const said = new Map(entries);
  const offset = countOf(said.get("offset"), name) ?? 0;
  return {
    name,
    location: said.get("location") ?? "",
    offset,
    length: countOf(said.get("length"), name),
  };
}

/** The files that the weights of a model lie in, by their paths from its own folder. */
export function externalFiles(bytes: Uint8Array): readonly string[] {
  const found = new Set<string>();
  for (const field of readFields(bytes)) {
    if (field.number !== MODEL.graph) continue;
    for (const part of readFields(messageOf(field))) {
      const place = part.number === GRAPH.initializer ? placeOf(messageOf(part)) : null;
      if (place !== null) found.add(place.location);
    }
  }
  return [...found];
}

function inlined(tensor: Uint8Array, place: Place, file: Uint8Array | undefined): Uint8Array[] {
  const { name, location, offset } = place;
  if (file === undefined)
    throw unusable(
      name,
      `in ${location || "none that it names"}, which is not part of the version`,
    );
  const end = place.length === null ? file.length : offset + place.length;
  if (end > file.length)
    throw unusable(name, `up to byte ${end} of ${location}, which has ${file.length}`);
  const own = [...readFields(tensor)].filter(
    ({ number }) => number !== TENSOR.externalData && number !== TENSOR.dataLocation,
  );
  return [...own.map(rawOf), ...encodeField(TENSOR.rawData, [file.subarray(offset, end)])];
}

/**
 * The model with its weights in itself; the given bytes where they are already.
 * @throws `artifact.invalid` for weights that are not in the files, and for more than 2 GB.
 */
export function inlineExternalData(
  bytes: Uint8Array,
  files: ReadonlyMap<string, Uint8Array>,
): Uint8Array {
  let isChanged = false;
  const chunks = [...readFields(bytes)].flatMap((field) => {
    if (field.number !== MODEL.graph) return [rawOf(field)];
    const graph = [...readFields(messageOf(field))].flatMap((part) => {
      const place = part.number === GRAPH.initializer ? placeOf(messageOf(part)) : null;
      if (place === null) return [rawOf(part)];
      isChanged = true;
      const tensor = inlined(messageOf(part), place, files.get(place.location));
      return encodeField(GRAPH.initializer, tensor);
    });
    return encodeField(MODEL.graph, graph);
  });
  if (!isChanged) return bytes;
  const size = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  if (size > MAX_BYTES)
    throw new LastgoodError("artifact.invalid", `the model and its weights are ${size} bytes`, {
      hint: `at most ${MAX_BYTES} can be loaded`,
    });
  return Buffer.concat(chunks);
}
