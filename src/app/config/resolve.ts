import { LastgoodError, plainWords } from "../../core/errors/index.ts";
import type { Environment } from "./folders.ts";
import { SETTINGS, type Setting, type SettingName, type SettingValue } from "./settings.ts";

/** Where values may come from; the first that has one wins: flag, environment, file, default. */
export interface Sources {
  /** By the setting's name; undefined where the flag was not given. */
  readonly flags: Readonly<Partial<Record<SettingName, string | undefined>>>;
  readonly env: Environment;
  /** The user's configuration file. */
  readonly file: { readonly path: string; readonly values: Readonly<Record<string, string>> };
}

/** A value and where it came from. */
export interface Origin {
  readonly from: "flag" | "environment" | "user file" | "default";
  /** The flag, the variable's name, the file's path, or nothing. */
  readonly name: string | null;
}

/** A setting's text as it was found, not yet checked. */
export interface FoundSetting {
  readonly text: string | null;
  readonly origin: Origin;
}

/** The text of a setting and where it came from; an empty environment variable counts as not set. */
export function findSetting(name: SettingName, sources: Sources): FoundSetting {
  const setting: Setting<unknown> = SETTINGS[name];
  const flag = sources.flags[name];
  if (flag !== undefined)
    return { text: flag, origin: { from: "flag", name: setting.flag.split(" ")[0] ?? null } };
  const variable = sources.env[setting.env];
  if (variable !== undefined && variable !== "")
    return { text: variable, origin: { from: "environment", name: setting.env } };
  const filed = sources.file.values[setting.key];
  if (filed !== undefined)
    return { text: filed, origin: { from: "user file", name: sources.file.path } };
  return { text: setting.defaultTo(sources.env), origin: { from: "default", name: null } };
}

/**
 * A setting's value, or null where it has none.
 * @throws `config.invalid` naming where the text came from and what is accepted.
 */
export function resolveSetting<N extends SettingName>(
  name: N,
  sources: Sources,
): SettingValue<N> | null {
  const { text, origin } = findSetting(name, sources);
  if (text === null) return null;
  // The compiler cannot see that SETTINGS[name] parses to SettingValue<N>.
  const schema = SETTINGS[name].schema as Setting<SettingValue<N>>["schema"];
  const parsed = schema.safeParse(text, { error: plainWords });
  if (parsed.success) return parsed.data;
  const where = origin.name ?? "the default";
  const why = parsed.error.issues.map((issue) => issue.message).join("; ");
  throw new LastgoodError("config.invalid", `${where}: ${why}`, {
    hint: `--help says what is accepted; config show --origin where each value comes from`,
    details: { setting: SETTINGS[name].key, given: text, from: origin.from },
  });
}

/**
 * A setting's value where its default makes sure that there is one.
 * @throws `config.invalid` as `resolveSetting`.
 */
export function requireSetting<N extends SettingName>(name: N, sources: Sources): SettingValue<N> {
  const value = resolveSetting(name, sources);
  if (value === null) throw new LastgoodError("config.invalid", `${SETTINGS[name].key} is not set`);
  return value;
}
