import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Program } from "./subject.ts";

const APPS = join(import.meta.dirname, "app");

interface Proxy {
  readonly config: string;
  readonly args: (config: string, folder: string) => readonly string[];
}

const KNOWN: Readonly<Record<string, Proxy>> = {
  haproxy: { config: "haproxy.cfg", args: (config) => ["-db", "-f", config] },
  nginx: {
    config: "nginx.conf",
    args: (config, folder) => ["-e", "stderr", "-p", folder, "-c", config],
  },
};

/** The proxies that lastgood is compared with. */
export const PROXIES: readonly string[] = Object.keys(KNOWN);

/** Debian has them where only root's path looks. */
const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin`;

function isInstalled(command: string): boolean {
  return spawnSync(command, ["-v"], { stdio: "ignore" }).error === undefined;
}

/** A proxy that is installed: its program before a server, asked at `path`. */
export interface ProxyProgram {
  before(upstream: URL, path: string): Program;
}

/** The proxy of that name with its configuration under `work`, or why there is none. */
export function proxyProgram(
  name: string,
  work: string,
): ProxyProgram | { readonly missing: string } {
  process.env["PATH"] = PATH;
  const proxy = KNOWN[name];
  if (proxy === undefined || !isInstalled(name)) return { missing: `${name} is not installed` };
  const folder = join(work, name);
  const argsAt = (upstream: URL, port: number): readonly string[] => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const config = join(folder, proxy.config);
    const text = readFileSync(join(APPS, proxy.config), "utf8")
      .replaceAll("FOLDER", folder)
      .replaceAll("UPSTREAM", upstream.host)
      .replaceAll("PORT", String(port));
    writeFileSync(config, text);
    return proxy.args(config, folder);
  };
  return {
    before: (upstream, path) => ({ command: name, args: (port) => argsAt(upstream, port), path }),
  };
}
