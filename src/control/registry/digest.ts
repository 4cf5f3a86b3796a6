import { parseDigest, type Digest, type RuntimeSpec } from "../../core/version/index.ts";
import { canonicalJson, sha256Hex } from "../../storage/history/index.ts";

/**
 * Digest of a version's content: SHA-256 over the canonical JSON of its files (path and digest,
 * sorted by path) and its runtime. Equal bytes under equal paths give an equal digest, whatever the
 * version is called.
 */
export function versionDigest(
  files: readonly { readonly path: string; readonly digest: string }[],
  runtime: RuntimeSpec,
): Digest {
  const sorted = files
    .map((file) => [file.path, file.digest] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return parseDigest(`sha256:${sha256Hex(canonicalJson({ files: sorted, runtime }))}`);
}
