import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A folder of the XDG base directory specification; a relative path in the variable is ignored. */
function xdg(env: Environment, variable: string, below: string): string {
  const given = env[variable];
  if (given !== undefined && isAbsolute(given)) return join(given, "lastgood");
  return join(env["HOME"] ?? homedir(), below, "lastgood");
}

/** Where the data lies unless told otherwise: `$XDG_DATA_HOME/lastgood`. */
export function defaultDataDir(env: Environment): string {
  return xdg(env, "XDG_DATA_HOME", ".local/share");
}

/** Where the user's configuration lies: `$XDG_CONFIG_HOME/lastgood`. */
export function configDir(env: Environment): string {
  return xdg(env, "XDG_CONFIG_HOME", ".config");
}

/** Where things lie that can be fetched again: `$XDG_CACHE_HOME/lastgood`. */
export function cacheDir(env: Environment): string {
  return xdg(env, "XDG_CACHE_HOME", ".cache");
}
