export { RegistryService } from "./registry-service.ts";
export { summaryOf } from "./view.ts";
