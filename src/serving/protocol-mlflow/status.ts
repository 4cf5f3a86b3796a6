import { LastgoodError } from "../../core/errors/index.ts";
import type { ProtocolAnswer, StatusAddress, StatusFacts } from "../protocol/index.ts";

/**
 * The MLflow whose scoring protocol is spoken. Below 3.4 on purpose: from there on tracing clients
 * post spans to whoever names such a version.
 */
const MLFLOW_VERSION = "3.3.2";

// MLflow labels these two bodies as JSON although neither is; clients look at the status.
const HEADERS = { "content-type": "application/json" } as const;

/**
 * Answers `/ping` and `/health` (a line break; 200 while the model is ready, else 404 as MLflow has it)
 * and `/version`.
 * @throws `route.not-found` for a question of another protocol.
 */
export function status(address: StatusAddress, facts: StatusFacts): ProtocolAnswer {
  if (address.kind === "version") return { status: 200, headers: HEADERS, body: MLFLOW_VERSION };
  if (address.kind === "model-ready") {
    return { status: facts.model?.ready === true ? 200 : 404, headers: HEADERS, body: "\n" };
  }
  throw new LastgoodError("route.not-found", `MLflow's protocol has no ${address.kind}`);
}
