import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "@hono/zod-openapi";

import { blobLimitSchema, blobSchema, DEFAULT_MAX_FILE_BYTES } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";
import { bodyChunks, type BodyPace } from "./body-chunks.ts";
import { API_PREFIX, PROBLEM_RESPONSE } from "./operation.ts";
import { toResponse } from "./problem.ts";
import { checkContentType } from "./safety.ts";

const OCTETS = "application/octet-stream";

/** A large file has the time that it takes at 1 MiB a second. */
const PACE: BodyPace = { idleMs: 30_000, totalMs: 600_000, leastBytesPerMs: 2 ** 20 / 1_000 };

/** Puts the upload of bytes on the app, and what it takes at most, bytes. */
export function blobUpload(
  app: OpenAPIHono,
  artifacts: Pick<Artifacts, "put">,
  limitBytes = DEFAULT_MAX_FILE_BYTES,
): void {
  const path = `${API_PREFIX}/blobs`;
  app.openAPIRegistry.registerPath({
    method: "post",
    path,
    summary: "Uploads bytes; a version names them by the digest this answers",
    request: { body: { content: { [OCTETS]: { schema: z.string() } } } },
    responses: {
      200: { description: "Stored", content: { "application/json": { schema: blobSchema } } },
      default: PROBLEM_RESPONSE,
    },
  });
  app.openAPIRegistry.registerPath({
    method: "get",
    path,
    summary: "The longest file that is taken, bytes",
    responses: {
      200: { description: "It", content: { "application/json": { schema: blobLimitSchema } } },
      default: PROBLEM_RESPONSE,
    },
  });
  app.get(path, () =>
    toResponse({ status: 200, text: JSON.stringify({ maxFileBytes: limitBytes }) }),
  );
  app.post(path, async (context) => {
    checkContentType(context.req.header("content-type"), OCTETS);
    if (Number(context.req.header("content-length") ?? 0) > limitBytes)
      throw new LastgoodError("body.too-large", `a file is at most ${limitBytes} bytes`, {
        hint: "the server's configuration has the limit: uploads: { maxFile: 128GiB } in server.yaml",
      });
    const { digest, size } = await artifacts.put(bodyChunks(context.req.raw.body, PACE), {
      limitBytes,
    });
    return toResponse({ status: 200, text: JSON.stringify({ digest, size }) });
  });
}
