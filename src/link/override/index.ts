export { overrideSchema, type Override } from "./override.ts";
