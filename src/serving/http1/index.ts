export { fieldLines, type AnswerFields } from "./answer-head.ts";
export { Http1Server, type Http1Options } from "./http1-server.ts";
export { PlainExchange } from "./plain-exchange.ts";
export { AnswerInvalid, AnswerLost, AnswerTimeout } from "./upstream-failure.ts";
export { UpstreamPool } from "./upstream-pool.ts";
export type { Question, WholeAnswer } from "./upstream-whole.ts";
