export { checkpointFrom } from "./checkpoint.ts";
export {
  controlConfigSchema,
  startControl,
  type ControlConfig,
  type ControlPlane,
} from "./control.ts";
