import { randomBytes } from "node:crypto";

import * as z from "zod";

/** What a process says of itself before anything else. */
export const identitySchema = z.object({
  role: z.enum(["supervisor", "control", "gateway", "model", "shim", "cli"]),
  pid: z.number().int(),
  /** ms since 1970. */
  startedAt: z.number(),
  build: z.string(),
  /** New at every start: tells two incarnations with the same pid apart. */
  nonce: z.string(),
  /** What it works on: the data folder, or, of what holds a version, `endpoint/revision`. */
  subject: z.string(),
  /** Digest of what a model process or shim holds. */
  digest: z.string().nullable(),
});

/** What a process says of itself before anything else. */
export type PeerIdentity = z.infer<typeof identitySchema>;

/** This process's identity in the given role. */
export function ownIdentity(
  role: PeerIdentity["role"],
  build: string,
  subject: string,
  digest: string | null = null,
): PeerIdentity {
  return {
    role,
    pid: process.pid,
    startedAt: Date.now(),
    build,
    nonce: randomBytes(8).toString("hex"),
    subject,
    digest,
  };
}
