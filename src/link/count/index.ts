export { countKey, countSchema, mergeCounts, type Count } from "./count.ts";
