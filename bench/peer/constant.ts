/**
 * The yardstick: bare node:http. It reads the body it is sent and answers a constant of the size that
 * the served model's answers have.
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
  request.on("data", () => undefined);
  request.on("end", () => {
    response.writeHead(200, headers);
    response.end(answer);
  });
}).listen(Number(port), "127.0.0.1");
