import { createHash } from "node:crypto";
import { mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";

/**
 * Folder of a data folder's Unix sockets, made with mode 0700:
 * `$XDG_RUNTIME_DIR/lastgood/<8 hex of the real path>`, else `/tmp/lastgood-<uid>/<8 hex>`
 * (a Unix socket path ends at 107 bytes, so the sockets cannot lie in the data folder).
 */
export function socketFolder(dataDir: string): string {
  const hex = createHash("sha256").update(realpathSync(dataDir)).digest("hex").slice(0, 8);
  const runtime = process.env["XDG_RUNTIME_DIR"];
  const base =
    runtime === undefined || runtime === "" || runtime.length > 60
      ? `/tmp/lastgood-${process.getuid?.() ?? 0}`
      : join(runtime, "lastgood");
  const folder = join(base, hex);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}
