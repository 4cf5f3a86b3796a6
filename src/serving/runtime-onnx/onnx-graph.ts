import { LastgoodError } from "../../core/errors/index.ts";
import {
  encodeField,
  integersOf,
  messageOf,
  notOnnx,
  rawOf,
  readFields,
  textOf,
  type WireField,
} from "./protobuf.ts";

/*
 * Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, IR version 13).
 */
const MODEL = { graph: 7, functions: 25 } as const;
const GRAPH = { node: 1, initializer: 5, output: 12, sparseInitializer: 15 } as const;
const FUNCTION = { node: 7 } as const;
const NODE = { input: 1, output: 2, opType: 4, attribute: 5, domain: 7 } as const;
const ATTRIBUTE = {
  name: 1,
  tensor: 5,
  graph: 6,
  ints: 8,
  strings: 9,
  tensors: 10,
  graphs: 11,
  sparseTensor: 22,
  sparseTensors: 23,
} as const;
const TENSOR = { name: 8, dataLocation: 14 } as const;
const EXTERNAL = 1n;
/** A type: tensor of float, of a shape that the engine infers. */
const FLOAT_TENSOR_TYPE = Uint8Array.from([0x0a, 0x02, 0x08, 0x01]);
const MAX_DEPTH = 32;

/** A ZipMap that was taken out: what its output was called and how to build it. */
export interface ZipMap {
  /** Graph output that callers know. */
  readonly output: string;
  /** Tensor that takes its place, `[rows, keys.length]`. */
  readonly tensor: string;
  readonly keyDtype: "INT64" | "BYTES";
  readonly keys: readonly (string | number)[];
}

/** A model as the engine is to load it. */
export interface PreparedModel {
  /** The given bytes themselves where nothing had to be changed. */
  readonly bytes: Uint8Array;
  /** The graph's outputs in their order, by the names that callers know. */
  readonly outputs: readonly string[];
  readonly zipMaps: readonly ZipMap[];
}

interface Node {
  readonly field: WireField;
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly Uint8Array[];
}

function readNode(field: WireField): Node {
  let opType = "";
  let domain = "";
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: Uint8Array[] = [];
  for (const part of readFields(messageOf(field))) {
    if (part.number === NODE.opType) opType = textOf(part);
    else if (part.number === NODE.domain) domain = textOf(part);
    else if (part.number === NODE.input) inputs.push(textOf(part));
    else if (part.number === NODE.output) outputs.push(textOf(part));
    else if (part.number === NODE.attribute) attributes.push(messageOf(part));
  }
  return { field, opType, domain, inputs, outputs, attributes };
}

function refuseExternalTensor(tensor: Uint8Array): void {
  let name = "";
  let external = false;
  for (const field of readFields(tensor)) {
    if (field.number === TENSOR.name) name = textOf(field);
    else if (field.number === TENSOR.dataLocation) external = integersOf(field).at(-1) === EXTERNAL;
  }
  if (!external) return;
  throw new LastgoodError(
    "artifact.invalid",
    `the model keeps the data of "${name}" in another file (external data), which is supported for the graph's own weights alone`,
    {
      hint: "save it as one file: onnx.save_model(model, path, save_as_external_data=False)",
      details: { tensor: name },
    },
  );
}

/** Sparse tensors hold their values and indices as tensors in fields 1 and 2. */
function refuseExternalSparse(sparse: Uint8Array): void {
  for (const field of readFields(sparse))
    if (field.number === 1 || field.number === 2) refuseExternalTensor(messageOf(field));
}

function refuseExternalAttribute(attribute: Uint8Array, depth: number): void {
  for (const field of readFields(attribute)) {
    switch (field.number) {
      case ATTRIBUTE.tensor:
      case ATTRIBUTE.tensors:
        refuseExternalTensor(messageOf(field));
        break;
      case ATTRIBUTE.sparseTensor:
      case ATTRIBUTE.sparseTensors:
        refuseExternalSparse(messageOf(field));
        break;
      case ATTRIBUTE.graph:
      case ATTRIBUTE.graphs:
        refuseExternalGraph(messageOf(field), depth + 1);
        break;
      default:
    }
  }
}

function refuseExternalGraph(graph: Uint8Array, depth: number): void {
  if (depth > MAX_DEPTH) throw notOnnx(`graphs lie more than ${MAX_DEPTH} deep in each other`);
  for (const field of readFields(graph)) {
    if (field.number === GRAPH.initializer) refuseExternalTensor(messageOf(field));
    else if (field.number === GRAPH.sparseInitializer) refuseExternalSparse(messageOf(field));
    else if (field.number === GRAPH.node)
      for (const attribute of readNode(field).attributes) refuseExternalAttribute(attribute, depth);
  }
}

function refuseExternalFunction(body: Uint8Array): void {
  for (const field of readFields(body))
    if (field.number === FUNCTION.node)
      for (const attribute of readNode(field).attributes) refuseExternalAttribute(attribute, 0);
}

function integerKey(value: bigint): number {
  const key = Number(value);
  if (!Number.isSafeInteger(key)) throw notOnnx(`class label ${value} is beyond 2^53`);
  return key;
}

/** The class labels of a ZipMap's attributes. */
function classLabels(node: Node): Pick<ZipMap, "keyDtype" | "keys"> {
  const strings: string[] = [];
  const integers: number[] = [];
  for (const attribute of node.attributes) {
    const fields = [...readFields(attribute)];
    const name = fields.find((field) => field.number === ATTRIBUTE.name);
    const title = name === undefined ? "" : textOf(name);
    for (const field of fields) {
      if (title === "classlabels_strings" && field.number === ATTRIBUTE.strings)
        strings.push(textOf(field));
      else if (title === "classlabels_int64s" && field.number === ATTRIBUTE.ints)
        integers.push(...integersOf(field).map(integerKey));
    }
  }
  if (strings.length > 0 === integers.length > 0)
    throw notOnnx("a ZipMap names its classes neither as strings nor as integers");
  return strings.length > 0
    ? { keyDtype: "BYTES", keys: strings }
    : { keyDtype: "INT64", keys: integers };
}

function outputName(field: WireField): string {
  for (const part of readFields(messageOf(field))) if (part.number === 1) return textOf(part);
  throw notOnnx("an output has no name");
}

function findZipMaps(nodes: readonly Node[], outputs: readonly string[]): Map<Node, ZipMap> {
  const found = new Map<Node, ZipMap>();
  for (const node of nodes) {
    const [tensor] = node.inputs;
    const [output] = node.outputs;
    if (node.opType !== "ZipMap" || node.domain !== "ai.onnx.ml") continue;
    if (tensor === undefined || output === undefined)
      throw notOnnx("a ZipMap without input or output");
    if (outputs.includes(output)) found.set(node, { output, tensor, ...classLabels(node) });
  }
  return found;
}

/** The graph without its ZipMaps, their inputs as outputs in their place. */
function rewriteGraph(
  fields: readonly WireField[],
  nodes: readonly Node[],
  zipMaps: ReadonlyMap<Node, ZipMap>,
): Uint8Array[] {
  const used = new Set(nodes.flatMap((node) => node.inputs));
  const dropped = new Set(
    [...zipMaps].filter(([, { output }]) => !used.has(output)).map(([node]) => node.field),
  );
  const byOutput = new Map([...zipMaps.values()].map((zipMap) => [zipMap.output, zipMap]));
  const present = new Set(
    fields.filter((field) => field.number === GRAPH.output).map((field) => outputName(field)),
  );
  const encoder = new TextEncoder();
  return fields.flatMap((field): Uint8Array[] => {
    if (dropped.has(field)) return [];
    const zipMap = field.number === GRAPH.output ? byOutput.get(outputName(field)) : undefined;
    if (zipMap === undefined) return [rawOf(field)];
    if (present.has(zipMap.tensor)) return [];
    present.add(zipMap.tensor);
    return encodeField(GRAPH.output, [
      ...encodeField(1, [encoder.encode(zipMap.tensor)]),
      ...encodeField(2, [FLOAT_TENSOR_TYPE]),
    ]);
  });
}

/**
 * Reads an ONNX model's graph and makes it loadable: a ZipMap behind a graph output is taken out,
 * because the engine cannot hand sequences of maps to JavaScript; its input takes its place.
 * @throws `artifact.invalid` for bytes that are no whole ONNX model and for external data.
 */
export function prepareModel(bytes: Uint8Array): PreparedModel {
  const model = [...readFields(bytes)];
  const [graphField, ...others] = model.filter((field) => field.number === MODEL.graph);
  if (graphField === undefined) throw notOnnx("it has no graph");
  if (others.length > 0) throw notOnnx("it has more than one graph");
  const graph = messageOf(graphField);
  refuseExternalGraph(graph, 0);
  for (const field of model)
    if (field.number === MODEL.functions) refuseExternalFunction(messageOf(field));

  const fields = [...readFields(graph)];
  const nodes = fields.filter((field) => field.number === GRAPH.node).map(readNode);
  const outputs = fields.filter((field) => field.number === GRAPH.output).map(outputName);
  if (outputs.length === 0) throw notOnnx("its graph gives no outputs");
  const zipMaps = findZipMaps(nodes, outputs);
  if (zipMaps.size === 0) return { bytes, outputs, zipMaps: [] };
  const rewritten = encodeField(MODEL.graph, rewriteGraph(fields, nodes, zipMaps));
  const chunks = model.flatMap((field) => (field === graphField ? rewritten : [rawOf(field)]));
  return { bytes: Buffer.concat(chunks), outputs, zipMaps: [...zipMaps.values()] };
}
