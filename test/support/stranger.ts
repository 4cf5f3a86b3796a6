import { createServer, type RequestListener, type Server } from "node:http";

/** Another program on the gateway's port. */
export interface Stranger {
  /** Requests it answered. */
  readonly answered: number;
  /** It lets go of the port. */
  close(): Promise<void>;
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port, reusePort: true }, resolve);
  });
}

/**
 * Listens on the gateway's port beside the gateway, which the system allows to processes of one user
 * that all share the port: of new connections it gets `listeners` of `listeners + workers`. With
 * `answers` it lets go of the port after so many.
 */
export async function strangerOn(
  port: number,
  options: { readonly listeners?: number; readonly answers?: number } = {},
): Promise<Stranger> {
  const { listeners = 60, answers = Infinity } = options;
  let answered = 0;
  let closing: Promise<void> | null = null;
  const servers: Server[] = [];
  const close = (): Promise<void> =>
    (closing ??= Promise.all(
      servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeIdleConnections();
          }),
      ),
    ).then(() => undefined));
  const answer: RequestListener = (request, response) => {
    request.resume();
    answered += 1;
    response.writeHead(200, { "content-type": "application/json", connection: "close" });
    response.end('{"outputs":[]}');
    if (answered >= answers) void close();
  };
  for (let count = 0; count < listeners; count += 1) {
    const server = createServer(answer);
    servers.push(server);
    await listen(server, port);
  }
  return {
    get answered() {
      return answered;
    },
    close,
  };
}
