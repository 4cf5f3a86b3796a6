export { readStartup, startProgram, type ProgramStart } from "./startup.ts";
