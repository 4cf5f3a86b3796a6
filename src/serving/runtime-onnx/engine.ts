import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";

import { LastgoodError } from "../../core/errors/index.ts";
import type { DType, Tensor } from "../../core/tensor/index.ts";
import type { EngineStamp } from "../../core/version/index.ts";

/** What both builds of ONNX Runtime offer alike. */
interface OrtModule {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (
    type: OrtTensor.Type,
    data: OrtTensor.DataType,
    dims: number[],
  ) => OrtTensor;
  readonly env: {
    readonly versions: { readonly common: string };
    readonly wasm: { numThreads?: number };
  };
}

/** ONNX Runtime, native or as WebAssembly. */
export interface Engine {
  readonly stamp: EngineStamp;
  /** A session over a model's bytes; blocks while it is made. */
  createSession(bytes: Uint8Array): Promise<InferenceSession>;
  toEngine(tensor: Tensor): OrtTensor;
}

const ENGINE_TYPES: Readonly<Record<DType, OrtTensor.Type>> = {
  BOOL: "bool",
  UINT8: "uint8",
  UINT16: "uint16",
  UINT32: "uint32",
  UINT64: "uint64",
  INT8: "int8",
  INT16: "int16",
  INT32: "int32",
  INT64: "int64",
  FP16: "float16",
  FP32: "float32",
  FP64: "float64",
  BYTES: "string",
};

const DTYPES_OF_ENGINE: ReadonlyMap<string, DType> = new Map(
  Object.entries(ENGINE_TYPES).map(([dtype, type]) => [type, dtype as DType]),
);

/** Our element type for one of the engine's, or null where we have none. */
export function dtypeOf(type: string): DType | null {
  return DTYPES_OF_ENGINE.get(type) ?? null;
}

/** A tensor of the engine in our form, without copying its elements. */
export function fromEngine(name: string, tensor: OrtTensor): Tensor {
  const dtype = dtypeOf(tensor.type);
  if (dtype === null)
    throw new LastgoodError("runtime.failed", `output ${name} has the type ${tensor.type}`);
  const { data } = tensor;
  const bits =
    dtype === "FP16" && ArrayBuffer.isView(data)
      ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
      : data;
  return { name, dtype, shape: [...tensor.dims], data: bits };
}

function engineOf(name: string, ort: OrtModule): Engine {
  return {
    // One thread: more burn up to twice the CPU by spinning, and change last bits of results.
    stamp: { name, version: ort.env.versions.common, threads: 1 },
    createSession: (bytes) =>
      ort.InferenceSession.create(bytes, {
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        logSeverityLevel: 3,
      }),
    toEngine: (tensor) =>
      new ort.Tensor(ENGINE_TYPES[tensor.dtype], tensor.data as OrtTensor.DataType, [
        ...tensor.shape,
      ]),
  };
}

/**
 * The native build takes FP16 as a Uint16Array only, but its JavaScript prefers a Float16Array where
 * the platform has one. It looks once, at the first tensor: there is none to see then.
 */
function loadsHalfAsBits(ort: OrtModule): void {
  const own = Object.getOwnPropertyDescriptor(globalThis, "Float16Array");
  if (own === undefined) return;
  Reflect.deleteProperty(globalThis, "Float16Array");
  try {
    void new ort.Tensor("bool", new Uint8Array(1), [1]);
  } finally {
    Object.defineProperty(globalThis, "Float16Array", own);
  }
}

async function loadNative(): Promise<Engine> {
  const ort = (await import("onnxruntime-node")) as unknown as OrtModule;
  loadsHalfAsBits(ort);
  return engineOf("onnxruntime-node", ort);
}

async function loadWasm(): Promise<Engine> {
  const ort = (await import("onnxruntime-web")) as unknown as OrtModule;
  ort.env.wasm.numThreads = 1;
  return engineOf("onnxruntime-web", ort);
}

/**
 * The native engine, else the WebAssembly one; `wasm` takes the latter at once. Which one it became
 * is in the stamp.
 * @throws `runtime.unavailable` when neither can be loaded.
 */
export async function loadEngine(preference: "native" | "wasm"): Promise<Engine> {
  let why = "";
  if (preference === "native") {
    try {
      return await loadNative();
    } catch (error) {
      why = LastgoodError.from(error).message;
    }
  }
  try {
    return await loadWasm();
  } catch (cause) {
    throw new LastgoodError(
      "runtime.unavailable",
      `no build of ONNX Runtime could be loaded: ${why} ${LastgoodError.from(cause).message}`.trim(),
      { cause, hint: "install again with npm ci; the native engine needs glibc 2.28 or newer" },
    );
  }
}
