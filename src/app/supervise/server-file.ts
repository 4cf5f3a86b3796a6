import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as z from "zod";

import { LastgoodError } from "../../core/errors/index.ts";

const childSchema = z.object({
  pid: z.number().int(),
  /** Digest of what it was started with: another one means that it has to be replaced. */
  config: z.string(),
});

const serverFileSchema = z.object({
  /** Of the supervisor. */
  pid: z.number().int(),
  startedAt: z.number(),
  version: z.string(),
  dataDir: z.string(),
  socketFolder: z.string(),
  /** `host:port`. */
  apiAddress: z.string(),
  serveAddress: z.string(),
  /** Null where gRPC is not spoken, and in files of earlier versions. */
  grpcAddress: z.string().nullable().default(null),
  defaultEndpoint: z.string().nullable(),
  processes: z.object({ control: childSchema.nullable(), gateway: childSchema.nullable() }),
});

/** What `<data>/server.json` says of the server that owns, or last owned, the data folder. */
export type ServerFile = z.infer<typeof serverFileSchema>;

function pathIn(dataDir: string): string {
  return join(dataDir, "server.json");
}

/**
 * The data folder's `server.json`, or null where there is none, or none of this form.
 * @throws `config.invalid` where this user may not look: a server may well run there.
 */
export function readServerFile(dataDir: string): ServerFile | null {
  try {
    const parsed = serverFileSchema.safeParse(JSON.parse(readFileSync(pathIn(dataDir), "utf8")));
    return parsed.success ? parsed.data : null;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : null;
    if (code !== "EACCES" && code !== "EPERM") return null;
    throw new LastgoodError(
      "config.invalid",
      `this user may not look into the data folder ${dataDir}, so it is not known whether a server runs on it`,
      {
        hint: "become the user who started the server, or name its API with --url",
        details: { dataDir },
        cause,
      },
    );
  }
}

/** Replaces `server.json` in one step. A full disk leaves the old one: it is no reason to stop. */
export function writeServerFile(file: ServerFile): boolean {
  const path = pathIn(file.dataDir);
  try {
    writeFileSync(`${path}.new`, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return true;
  } catch {
    rmSync(`${path}.new`, { force: true });
    return false;
  }
}

/** Takes `server.json` away: nothing runs any more. */
export function removeServerFile(dataDir: string): void {
  rmSync(pathIn(dataDir), { force: true });
}
