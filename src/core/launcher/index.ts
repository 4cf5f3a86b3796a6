export { BUILT_IN_LAUNCHERS } from "./built-in.ts";
export { launchersSchema } from "./file-schema.ts";
export { fillIn, launcherSchema, UPSTREAM_PROTOCOLS, type Launcher } from "./launcher.ts";
