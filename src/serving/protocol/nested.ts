import type { DType } from "../../core/tensor/index.ts";
import { elementRefused, writeElements, type Missing, type WritableData } from "./elements.ts";
import { described, requestInvalid } from "./refuse.ts";
import { shapeText } from "./shape.ts";

/** A tensor being read from arrays nested as deep as its shape. */
export interface NestedTarget {
  readonly dtype: DType;
  readonly out: WritableData;
  readonly shape: readonly number[];
  readonly missing: Missing;
  /** Names the place for error messages: `input "x"`. Asked for only when there is one. */
  readonly where: () => string;
}

function placeOf(target: NestedTarget, position: number, axes: number): string {
  return `${target.where()}${indexText(target.shape, position, axes)}`;
}

function indexText(shape: readonly number[], position: number, axes: number): string {
  const index: number[] = [];
  let rest = position;
  for (const length of shape.slice(0, axes).toReversed()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return index.map((at) => `[${at}]`).join("");
}

/** Writes a plain run of elements. @throws `request.invalid` naming the first that does not fit. */
export function writeRow(target: NestedTarget, at: number, values: readonly unknown[]): void {
  const { dtype, out, missing, shape } = target;
  const wrong = writeElements(dtype, out, { at, values, missing });
  if (wrong < 0) return;
  throw elementRefused(dtype, placeOf(target, at + wrong, shape.length), values[wrong]);
}

/**
 * Fills a tensor from nested arrays in row-major order; every array has the length of its axis.
 * @throws `request.invalid` naming the place of a ragged array or of a value that does not fit.
 */
export function writeNested(target: NestedTarget, values: unknown): void {
  const { shape } = target;
  if (shape.length === 0) {
    writeRow(target, 0, [values]);
    return;
  }
  const last = shape.length - 1;
  // `position` counts the parts of this axis in row-major order.
  const fill = (part: unknown, axis: number, position: number): void => {
    const length = shape[axis] ?? 0;
    if (!Array.isArray(part) || part.length !== length) {
      const found = Array.isArray(part) ? `an array of ${part.length}` : described(part);
      const place = placeOf(target, position, axis);
      throw requestInvalid(`${place} is ${found}`, {
        where: place,
        accepted: `an array of ${length}, as in the shape ${shapeText(shape)}`,
      });
    }
    if (axis === last) writeRow(target, position * length, part);
    else {
      for (let index = 0; index < length; index += 1) {
        fill(part[index], axis + 1, position * length + index);
      }
    }
  };
  fill(values, 0, 0);
}
