import * as z from "zod";

import { DTYPES } from "../tensor/index.ts";

/** What may be kept of the inputs of requests that a candidate failed. */
export const ERROR_INPUTS = ["none", "redacted"] as const;

/** What may be kept of the inputs of requests that a candidate failed. */
export type ErrorInputs = (typeof ERROR_INPUTS)[number];

/** How many elements are so; left out where none is. One significant digit, or all of them. */
const count = z.number().int().positive().optional();
/** A number of which sign and power of ten are left: 345 is 100, -0.02 is -0.01. */
const magnitude = z.number().optional();

/** What a text is made of; which character it is is told of none. */
export const CHARACTERS = [
  "letters",
  "digits",
  "spaces",
  "signs",
  "control",
  "beyond ASCII",
  "half characters",
] as const;

const redactedTensorSchema = z.object({
  name: z.string().max(100),
  dtype: z.enum(DTYPES),
  shape: z.array(z.number().int().nonnegative()).max(8),
  /** Only so many of its elements were looked at. */
  looked: count,
  nan: count,
  infinite: count,
  zero: count,
  negative: count,
  /** Of the finite numbers. */
  least: magnitude,
  most: magnitude,
  /** Of flags. */
  yes: count,
  empty: count,
  /** Lengths of texts. */
  shortest: magnitude,
  longest: magnitude,
  characters: z.array(z.enum(CHARACTERS)).optional(),
});

/** One input of a request, redacted. */
export type RedactedTensor = z.infer<typeof redactedTensorSchema>;

/**
 * What is left of a request's inputs: enough to see what was wrong with them, no text and no number of
 * more than one significant digit but the lengths of axes.
 */
export const redactedInputsSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("tensors"),
    tensors: z.array(redactedTensorSchema).max(64),
    /** Inputs for which there was no room. */
    leftOut: z.number().int().nonnegative(),
  }),
  z.object({
    /** Passed on and not read. */
    kind: z.literal("unread"),
    method: z.string().max(20),
    /** Without parameters; `other`: one that few use; null: none. */
    contentType: z.string().max(100).nullable(),
    /** One significant digit; null: it was passed on as it came. */
    bytes: z.number().int().nonnegative().nullable(),
  }),
]);

/** What is left of a request's inputs. */
export type RedactedInputs = z.infer<typeof redactedInputsSchema>;
