import { LastgoodError } from "../../core/errors/index.ts";
import { Gateway, type GatewayParts } from "./gateway.ts";

const TERM_DRAIN_MS = 10_000;

/** What a gateway process is composed of, once its configuration is read. */
export type RunGatewayParts = GatewayParts;

/** Runs this process as a gateway: SIGTERM drains it, SIGINT is the supervisor's business. */
export async function runGateway(parts: RunGatewayParts): Promise<void> {
  process.on("SIGINT", () => undefined);
  // Whoever reads the log may be gone.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  process.on("unhandledRejection", (error) => {
    parts.log("error", "a defect: an unhandled rejection", { error: String(error) });
  });
  let gateway: Gateway;
  try {
    gateway = await Gateway.start(parts);
  } catch (error) {
    process.stderr.write(`${JSON.stringify({ error: LastgoodError.from(error).toBody() })}\n`);
    process.exitCode = 1;
    return;
  }
  process.once("SIGTERM", () => void gateway.drain(TERM_DRAIN_MS));
  await gateway.whenEnded.promise;
  process.exit(0);
}
