export {
  readRequestId,
  requestIdKey,
  RequestIds,
  type ReadRequestId,
  type RequestIdParts,
  type RequestWay,
} from "./request-id.ts";
