/**
 * The model with no server at all: onnxruntime-node in this process, awaited one after the other.
 * Prints CPU microseconds per row.
 *
 *   node bench/peer/no-server.ts MODEL ROWS_PER_RUN MS ROW…
 */
import { InferenceSession, Tensor } from "onnxruntime-node";

const [, , model = "", rowsText = "1", msText = "1000", rowText = "[]"] = process.argv;
const rows = Number(rowsText);
const row = JSON.parse(rowText) as number[];

const session = await InferenceSession.create(model, {
  intraOpNumThreads: 1,
  logSeverityLevel: 3,
});
const data = Float32Array.from({ length: rows * row.length }, (_, at) => row[at % row.length] ?? 0);
const name = session.inputNames[0] ?? "";

async function run(ms: number): Promise<number> {
  const endsAt = performance.now() + ms;
  let runs = 0;
  while (performance.now() < endsAt) {
    await session.run({ [name]: new Tensor("float32", data, [rows, row.length]) });
    runs += 1;
  }
  return runs;
}

await run(Number(msText) / 4);
const before = process.cpuUsage();
const startedAt = performance.now();
const runs = await run(Number(msText));
const seconds = (performance.now() - startedAt) / 1_000;
const used = process.cpuUsage(before);
process.stdout.write(
  JSON.stringify({
    cpuUs: (used.user + used.system) / (runs * rows),
    rowsPerS: (runs * rows) / seconds,
  }),
);
