export { countKey, countSchema, type Count } from "./count.ts";
