export { generalChecks } from "./general-checks.ts";
