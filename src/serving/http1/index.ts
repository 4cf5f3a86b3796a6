export { fieldLines, type AnswerFields } from "./answer-head.ts";
export { Http1Server, type Http1Options } from "./http1-server.ts";
export { PlainExchange } from "./plain-exchange.ts";
