import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import { PROGRAM_VERSION } from "./version.ts";

/** The bundles that the server's processes run. */
export interface Programs {
  readonly control: string;
  readonly gateway: string;
  readonly worker: string;
  readonly model: string;
  readonly shim: string;
  /** Tells two builds apart: the version and a digest of the bundles. */
  readonly build: string;
}

/** @throws `internal` when a bundle is not in the folder. */
export function findPrograms(folder: string): Programs {
  const hash = createHash("sha256");
  const find = (name: string): string => {
    const path = join(folder, `${name}.cjs`);
    if (!existsSync(path)) {
      throw new LastgoodError("internal", `${path} is missing: the installation is not complete`, {
        hint: "install lastgood again; in a checkout: npm run build",
      });
    }
    hash.update(readFileSync(path));
    return path;
  };
  const programs = {
    control: find("control"),
    gateway: find("gateway"),
    worker: find("worker"),
    model: find("model"),
    shim: find("shim"),
  };
  return { ...programs, build: `${PROGRAM_VERSION}+${hash.digest("hex").slice(0, 8)}` };
}
