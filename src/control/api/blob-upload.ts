import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "@hono/zod-openapi";

import { blobSchema } from "../../core/api/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import type { Artifacts } from "../../storage/artifacts/index.ts";
import { bodyChunks, type BodyPace } from "./body-chunks.ts";
import { API_PREFIX, PROBLEM_RESPONSE } from "./operation.ts";
import { toResponse } from "./problem.ts";
import { checkContentType } from "./safety.ts";

/** Longest file that is taken, bytes. */
const MAX_BLOB_BYTES = 2 * 1024 * 1024 * 1024;

const OCTETS = "application/octet-stream";

const PACE: BodyPace = { idleMs: 30_000, totalMs: 600_000 };

/** Puts the upload of bytes on the app. */
export function blobUpload(
  app: OpenAPIHono,
  artifacts: Pick<Artifacts, "put">,
  limitBytes = MAX_BLOB_BYTES,
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
  app.post(path, async (context) => {
    checkContentType(context.req.header("content-type"), OCTETS);
    if (Number(context.req.header("content-length") ?? 0) > limitBytes)
      throw new LastgoodError("body.too-large", `a file is at most ${limitBytes} bytes`);
    const { digest, size } = await artifacts.put(bodyChunks(context.req.raw.body, PACE), {
      limitBytes,
    });
    return toResponse({ status: 200, text: JSON.stringify({ digest, size }) });
  });
}
