import { elementCount } from "../../core/tensor/index.ts";
import type { TensorSpec } from "../../core/version/index.ts";
import { inputText, requestInvalid } from "./refuse.ts";

/** A shape for people: `[any, 4]`. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.map((axis) => (axis === -1 ? "any" : String(axis))).join(", ")}]`;
}

function fits(spec: TensorSpec, shape: readonly number[]): boolean {
  if (shape.length !== spec.shape.length) return false;
  for (let axis = 0; axis < shape.length; axis += 1) {
    const wanted = spec.shape[axis];
    if (wanted !== -1 && wanted !== shape[axis]) return false;
  }
  return true;
}

/**
 * Number of elements of a shape that the contract takes. `bodyBytes` bounds it before anything is
 * allocated: an element takes at least one byte of the body.
 * @throws `request.invalid` for another rank, another fixed axis, no elements, or more than the body
 * can hold.
 */
export function acceptedCount(
  spec: TensorSpec,
  shape: readonly number[],
  bodyBytes: number,
): number {
  if (!fits(spec, shape)) {
    const where = inputText(spec.name);
    throw requestInvalid(`${where} has shape ${shapeText(shape)}`, {
      where,
      accepted: shapeText(spec.shape),
    });
  }
  const count = elementCount(shape);
  if (count === 0) {
    const where = inputText(spec.name);
    throw requestInvalid(`${where} is empty: its shape ${shapeText(shape)} holds no elements`, {
      where,
      accepted: "at least one row",
    });
  }
  if (count > bodyBytes) {
    const where = inputText(spec.name);
    throw requestInvalid(
      `${where}: its shape ${shapeText(shape)} stands for ${count} elements, more than the body holds`,
      { where },
    );
  }
  return count;
}
