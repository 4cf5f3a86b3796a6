export {
  chooseTargets,
  namedObjection,
  semanticVersion,
  type NamedOptions,
  type Proof,
  type Target,
  type TargetChoice,
  type TargetFacts,
  type VersionFacts,
} from "./choose.ts";
