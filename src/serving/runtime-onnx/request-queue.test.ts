import { expect, test } from "vitest";

import type { Tensor } from "../../core/tensor/index.ts";
import { BatchKeys } from "./batch.ts";
import { RequestQueue, sharing, type Waiting } from "./request-queue.ts";

function tensor(rows: number, columns: number): Tensor {
  return {
    name: "x",
    dtype: "FP32",
    shape: [rows, columns],
    data: new Float32Array(rows * columns),
  };
}

const KEYS = new BatchKeys();

function ignore(): void {}

function waiting(rows: number, columns: number, mayShare = true): Waiting {
  const inputs = [tensor(rows, columns)];
  return {
    inputs,
    ...sharing(inputs, mayShare ? KEYS : null),
    resolve: ignore,
    reject: ignore,
    timeoutMs: 1_000,
    deadline: 1_000,
    settled: false,
  };
}

function queueOf(...requests: readonly Waiting[]): RequestQueue {
  const queue = new RequestQueue();
  for (const request of requests) queue.push(request);
  return queue;
}

test("only requests of one shape beyond axis 0 share a frame", () => {
  const [a, b, c] = [waiting(1, 4), waiting(1, 5), waiting(2, 4)];
  const queue = queueOf(a, b, c);
  expect(queue.take(256)).toEqual([a, c]);
  expect(queue.take(256)).toEqual([b]);
  expect(queue.isEmpty).toBe(true);
});

test("a group that fills frame after frame lets the others have their turn", () => {
  const busy = Array.from({ length: 6 }, () => waiting(1, 4));
  const other = waiting(1, 5);
  const queue = queueOf(...busy.slice(0, 3), other, ...busy.slice(3));
  expect(queue.take(2)).toEqual(busy.slice(0, 2));
  expect(queue.take(2)).toEqual([other]);
  expect(queue.take(2)).toEqual(busy.slice(2, 4));
  expect(queue.take(2)).toEqual(busy.slice(4, 6));
});

test("a request of more rows than a frame holds goes alone", () => {
  const [small, large, last] = [waiting(1, 4), waiting(300, 4), waiting(1, 4)];
  const queue = queueOf(small, large, last);
  expect([queue.take(256), queue.take(256), queue.take(256)]).toEqual([[small], [large], [last]]);
});

test("requests that share no frame go one by one in their order", () => {
  const [a, b] = [waiting(1, 4, false), waiting(1, 4, false)];
  const queue = queueOf(a, b);
  expect([queue.take(256), queue.take(256), queue.take(256)]).toEqual([[a], [b], []]);
});

test("a request that was given up meanwhile takes no place", () => {
  const [a, b, c] = [waiting(1, 4), waiting(1, 4), waiting(1, 4)];
  const queue = queueOf(a, b, c);
  a.settled = true;
  expect(queue.take(2)).toEqual([b, c]);
});

test("inputs of unequal length, or with no rows, share no frame", () => {
  expect(sharing([tensor(1, 2), tensor(2, 2)], KEYS).key).toBeNull();
  expect(sharing([tensor(0, 2)], KEYS).key).toBeNull();
  expect(sharing([], KEYS).key).toBeNull();
});
