export {
  allocate,
  DTYPES,
  ELEMENT_BYTES,
  elementCount,
  isMapSequence,
  type DType,
  type MapSequence,
  type OutputValue,
  type Tensor,
  type TensorData,
} from "./tensor.ts";
export {
  outputFromWire,
  outputToWire,
  tensorFromWire,
  tensorToWire,
  wireSampleSchema,
  wireTensorSchema,
  type WireOutput,
  type WireSample,
  type WireTensor,
} from "./wire.ts";
