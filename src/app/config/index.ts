export { formatAddress, type Address } from "./address.ts";
export { cacheDir, type Environment } from "./folders.ts";
export {
  findSetting,
  requireSetting,
  resolveSetting,
  type FoundSetting,
  type Origin,
  type Sources,
} from "./resolve.ts";
export { policyYaml, readPolicyFile, type PolicyDocument } from "./policy-file.ts";
export { readServerYaml, type Launchers, type Remotes, type ServerConfig } from "./server-yaml.ts";
export { SETTINGS, type Setting, type SettingName, type SettingValue } from "./settings.ts";
export { readUserFile } from "./user-file.ts";
