import type { z } from "zod";

import type { Digest, manifestSchema } from "../../core/version/index.ts";

/** What was put. */
export interface PutArtifact {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** False when these bytes were stored before. */
  readonly created: boolean;
}

/** Bounds of one put. */
export interface PutOptions {
  /** Longest content that is taken, bytes. */
  readonly limitBytes?: number;
  /** What the content must hash to. */
  readonly expect?: Digest;
}

/** What re-hashing stored bytes found. */
export type ArtifactVerdict = "ok" | "corrupt" | "missing";

/** A version's manifest, golden samples in their JSON form. */
export type ManifestFile = z.infer<typeof manifestSchema>;

/** One manifest per version, no shared index. */
export interface Manifests {
  /** Whole or not at all; replaces one with the same model and sequence number. */
  write(manifest: ManifestFile): Promise<void>;
  /** Null when there is none. @throws `artifact.corrupt` when it cannot be understood. */
  read(model: string, sequence: number): Promise<ManifestFile | null>;
  remove(model: string, sequence: number): Promise<void>;
  models(): Promise<readonly string[]>;
  /** Sequence numbers of a model's manifests, rising. */
  sequences(model: string): Promise<readonly number[]>;
}

/**
 * Content-addressed bytes, kept as registered. Nothing half-written is ever seen under its digest.
 * Every method @throws `store.unavailable` when the place cannot be read or written, and
 * `reference.invalid` for what is not a digest.
 */
export interface Artifacts {
  /**
   * Stores bytes under their own digest; what lay there, whole or damaged, is replaced.
   * @throws `body.too-large`; `artifact.corrupt` when they do not hash to `expect`; what the
   * content itself throws. Nothing is stored then.
   */
  put(content: Uint8Array | AsyncIterable<Uint8Array>, options?: PutOptions): Promise<PutArtifact>;
  /** The bytes, hashed on the way. @throws `artifact.missing`, `artifact.corrupt`. */
  read(digest: Digest): Promise<Uint8Array>;
  /** The bytes as a stream, not hashed. @throws `artifact.missing`. */
  open(digest: Digest): Promise<AsyncIterable<Uint8Array>>;
  /** Bytes stored under the digest, or null when there are none. */
  size(digest: Digest): Promise<number | null>;
  /** Re-hashes what is stored. */
  verify(digest: Digest): Promise<ArtifactVerdict>;
  readonly manifests: Manifests;
}
