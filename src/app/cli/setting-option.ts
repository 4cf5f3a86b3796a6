import { Option } from "@commander-js/extra-typings";

import { SETTINGS, type Setting, type SettingName } from "../config/index.ts";

/** A setting as an option of a command; its value is read through the session, not from here. */
export function settingOption(name: SettingName, flags?: string): Option {
  const setting: Setting<unknown> = SETTINGS[name];
  const fallback = setting.defaultText ?? setting.defaultTo({}) ?? "none";
  return new Option(
    flags ?? setting.flag,
    `${setting.description} (env ${setting.env}, default ${fallback})`,
  );
}
