/**
 * A server of the Open Inference Protocol that costs next to nothing: it describes a model and answers
 * every inference alike.
 *
 *   node bench/peers/app/upstream.ts PORT
 */
import { createServer, type ServerResponse } from "node:http";

const METADATA = JSON.stringify({
  name: "iris",
  platform: "constant",
  versions: ["1"],
  inputs: [{ name: "features", datatype: "FP32", shape: [-1, 4] }],
  outputs: [
    { name: "label", datatype: "INT64", shape: [-1] },
    { name: "probabilities", datatype: "FP32", shape: [-1, 3] },
  ],
});
const ANSWER = JSON.stringify({
  model_name: "iris",
  model_version: "1",
  outputs: [
    { name: "label", datatype: "INT64", shape: [1], data: [0] },
    { name: "probabilities", datatype: "FP32", shape: [1, 3], data: [0.8125, 0.125, 0.0625] },
  ],
});

function answer(response: ServerResponse, text: string): void {
  response.writeHead(200, {
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(text)),
  });
  response.end(text);
}

createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  request.resume();
  request.on("end", () => answer(response, request.method === "POST" ? ANSWER : METADATA));
}).listen(Number(process.argv[2]), "127.0.0.1");
