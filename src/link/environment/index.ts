export {
  listEnvironments,
  removeEnvironment,
  removeUnfinished,
  useEnvironment,
  type Environment,
  type Removal,
  type UsedEnvironment,
} from "./environment.ts";
