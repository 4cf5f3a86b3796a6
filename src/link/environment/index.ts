export {
  listEnvironments,
  removeEnvironment,
  useEnvironment,
  type Environment,
  type Removal,
  type UsedEnvironment,
} from "./environment.ts";
