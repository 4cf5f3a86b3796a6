import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** What is wrong with the stored files: half-written ones, and bytes that are not their name's. */
export function looseEnds(dataDir: string): readonly string[] {
  const blobs = readdirSync(join(dataDir, "blobs", "sha256"));
  const mismatched = blobs.filter((name) => {
    const bytes = readFileSync(join(dataDir, "blobs", "sha256", name));
    return createHash("sha256").update(bytes).digest("hex") !== name;
  });
  const files = readdirSync(dataDir, { recursive: true, encoding: "utf8" });
  return [...mismatched, ...files.filter((name) => /tmp|partial|~$/i.test(name))];
}

/** Every registered version's manifest with its bytes' digest, in order. */
export function manifestsOf(dataDir: string): readonly string[] {
  const folder = join(dataDir, "manifests");
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(folder, name)).isFile())
    .map((name) => {
      const bytes = readFileSync(join(folder, name));
      return `${name} ${createHash("sha256").update(bytes).digest("hex")}`;
    })
    .toSorted();
}
