import type { Server } from "node:http";

import { createAdaptorServer } from "@hono/node-server";

import { LastgoodError } from "../../core/errors/index.ts";
import { createApp, type ApiDeps } from "./api.ts";
import { EventStreams } from "./event-stream.ts";
import { allowedHosts } from "./safety.ts";

/** Bounds of the API's connections: a slow or half-closed one gives its place back. */
const SERVER_OPTIONS = {
  headersTimeout: 10_000,
  // Long enough for the largest upload on a slow disk.
  requestTimeout: 86_400_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16 * 1024,
} as const;

const MAX_CONNECTIONS = 1_024;
const SWEEP_MS = 20;

/** The API as it listens. */
export interface ApiServer {
  readonly host: string;
  readonly port: number;
  /** Ends event streams, lets running requests finish for `graceMs`, then cuts them. */
  close(graceMs?: number): Promise<void>;
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === "EADDRINUSE";
      reject(
        new LastgoodError(
          taken ? "address.in-use" : "config.invalid",
          taken
            ? `${host}:${port} is in use`
            : `${host}:${port} cannot be listened on: ${cause.message}`,
          { hint: "choose another with --api-address", cause },
        ),
      );
    });
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

/**
 * Serves the API on `host:port`; port 0 takes a free one.
 * @throws `address.in-use`
 */
export async function serveApi(
  deps: ApiDeps,
  options: { readonly host: string; readonly port: number },
): Promise<ApiServer> {
  const events = new EventStreams(deps.endpoints);
  let hosts: ReadonlySet<string> = new Set();
  const app = createApp(deps, events, () => hosts);
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: SERVER_OPTIONS,
    overrideGlobalObjects: false,
  }) as Server;
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, options.host, options.port);
  hosts = allowedHosts(options.host, port);
  return {
    host: options.host,
    port,
    close: (graceMs = 5_000) =>
      new Promise((resolve) => {
        events.close();
        const cut = setTimeout(() => server.closeAllConnections(), graceMs);
        // A connection becomes idle when its last answer has left: none is kept open for another.
        const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
        server.close(() => {
          clearTimeout(cut);
          clearInterval(sweep);
          resolve();
        });
      }),
  };
}
