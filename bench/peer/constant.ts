/**
 * The yardstick: bare node:http. It answers a constant of the size that the served model's answers
 * have: under `/read` once the body is there, elsewhere without looking at it.
 *
 *   node bench/peer/constant.ts PORT ANSWER
 */
import { createServer } from "node:http";

const [, , port, answer = ""] = process.argv;
const headers = {
  "content-type": "application/json",
  "content-length": String(Buffer.byteLength(answer)),
};

createServer((request, response) => {
  const respond = (): void => {
    response.writeHead(200, headers);
    response.end(answer);
  };
  if (request.url !== "/read") {
    respond();
    return;
  }
  request.on("data", () => undefined);
  request.on("end", respond);
}).listen(Number(port), "127.0.0.1");
