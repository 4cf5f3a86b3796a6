export { findPrograms, type Programs } from "./programs.ts";
export { PROGRAM_VERSION } from "./version.ts";
