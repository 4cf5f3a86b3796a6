import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";

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
  assertOurs(base);
  return folder;
}

/** Anybody may have made a folder in /tmp: sockets of another user's folder would be theirs. */
function assertOurs(folder: string): void {
  const stat = lstatSync(folder);
  if (
    stat.isDirectory() &&
    stat.uid === (process.getuid?.() ?? stat.uid) &&
    (stat.mode & 0o022) === 0
  )
    return;
  throw new LastgoodError(
    "config.invalid",
    `${folder} is not a folder that only this user writes`,
    {
      hint: "remove it, or set XDG_RUNTIME_DIR to a folder of your own",
    },
  );
}
