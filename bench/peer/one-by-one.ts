/**
 * What one writes without thinking further: node:http and onnxruntime-node in one process, one run
 * per request, no checks, no version, no counts.
 *
 *   node bench/peer/one-by-one.ts PORT MODEL
 */
import { createServer, type IncomingMessage } from "node:http";

import { InferenceSession, Tensor } from "onnxruntime-node";

const [, , port, model = ""] = process.argv;

interface Request {
  readonly inputs: readonly { name: string; shape: number[]; data: number[] }[];
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  request.setEncoding("utf8");
  for await (const chunk of request) text += chunk;
  return text;
}

const session = await InferenceSession.create(model, {
  intraOpNumThreads: 1,
  logSeverityLevel: 3,
});

async function predict(body: string): Promise<string> {
  const { inputs } = JSON.parse(body) as Request;
  const feeds = inputs.map(({ name, shape, data }) => [
    name,
    new Tensor("float32", Float32Array.from(data), shape),
  ]);
  const ran = await session.run(Object.fromEntries(feeds) as Record<string, Tensor>);
  return JSON.stringify({
    outputs: Object.entries(ran).map(([name, { dims, data }]) => ({
      name,
      shape: dims,
      data: Array.from(data as ArrayLike<number | bigint>, Number),
    })),
  });
}

createServer((request, response) => {
  void bodyOf(request)
    .then(predict)
    .then((answer) => {
      response.writeHead(200, {
        "content-type": "application/json",
        "content-length": String(Buffer.byteLength(answer)),
      });
      response.end(answer);
    });
}).listen(Number(port), "127.0.0.1");
