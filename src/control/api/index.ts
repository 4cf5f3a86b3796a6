export { serveApi, type ApiServer } from "./server.ts";
export type { ApiDeps } from "./api.ts";
