import { collectBodySchema, collectedSchema, type GarbageService } from "../../core/api/index.ts";
import { operation, type Operation } from "./operation.ts";

/** Operations on what is no longer needed. */
export function gcOperations(garbage: GarbageService): readonly Operation[] {
  return [
    operation({
      method: "post",
      path: "/gc",
      summary: "Removes what no version within reach of a rollback needs",
      body: collectBodySchema,
      answer: collectedSchema,
      run: ({ body }) => garbage.collect(body),
    }),
  ];
}
