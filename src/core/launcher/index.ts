export { BUILT_IN_LAUNCHERS, BUILT_IN_NAMES, UNREAD_LAUNCHER } from "./built-in.ts";
export { byteSizeSchema } from "./byte-size.ts";
export { launchersSchema } from "./file-schema.ts";
export {
  fillIn,
  LAUNCHER_PROTOCOLS,
  launcherSchema,
  type Launcher,
  type UpstreamProtocol,
} from "./launcher.ts";
