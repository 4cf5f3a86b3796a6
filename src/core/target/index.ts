export {
  chooseTargets,
  namedObjection,
  type NamedOptions,
  type Proof,
  type Target,
  type TargetChoice,
  type TargetFacts,
  type VersionFacts,
} from "./choose.ts";
