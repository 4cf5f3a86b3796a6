import type { Command } from "@commander-js/extra-typings";

import { findSetting, SETTINGS, type Setting, type SettingName } from "../../config/index.ts";
import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";
import { settingOption } from "../setting-option.ts";
import { tableLines } from "../table.ts";

/** `config show`: each setting and where it comes from. */
export function define(command: Command, session: Session): void {
  command
    .usage("show [options]")
    .addHelpText(
      "after",
      examples([["lastgood config show --origin", "what holds here, and why"]]),
    );
  const show = command.command("show").description("Each setting's value here and now.");
  for (const name of names()) show.addOption(settingOption(name).hideHelp());
  show
    .option("--origin", "also where each value comes from")
    .addHelpText(
      "after",
      examples([
        ["lastgood config show --origin", "flag, environment, user file or default"],
        ["LASTGOOD_WORKERS=4 lastgood config show --origin", ""],
      ]),
    )
    .action(async (options) => {
      const sources = await session.sources();
      const rows = names().map((name) => {
        const setting: Setting<unknown> = SETTINGS[name];
        const { text, origin } = findSetting(name, sources);
        return { key: setting.key, env: setting.env, value: text, origin };
      });
      const isLong = options.origin === true;
      const head = isLong ? ["SETTING", "VALUE", "FROM"] : ["SETTING", "VALUE"];
      session.terminal.answer({ file: sources.file.path, settings: rows }, () => [
        ...tableLines([
          head.map((word) => session.terminal.style("dim", word)),
          ...rows.map(({ key, value, origin }) => [
            key,
            value ?? "-",
            ...(isLong
              ? [origin.name === null ? origin.from : `${origin.from} ${origin.name}`]
              : []),
          ]),
        ]),
        `user file: ${sources.file.path}${Object.keys(sources.file.values).length === 0 ? " (none)" : ""}`,
      ]);
    });
}

function names(): SettingName[] {
  return Object.keys(SETTINGS) as SettingName[];
}
