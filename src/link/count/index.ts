export { countKey, countSchema, type Count } from "./count.ts";
export { evidenceSchema, type Evidence } from "./evidence.ts";
