import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/** How it answers a request that has been read. */
type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

/** A request as it came in. */
interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A server with a language of its own, at `/base/`; it answers with its name. */
export class OwnServer {
  readonly seen: Seen[] = [];
  behaviour: Behaviour = (_request, response) => response.end(this.name);
  /** How often its health was asked for; it is told once `healthy` resolves. */
  checks = 0;
  healthy: Promise<void> = Promise.resolve();
  readonly #server: Server;

  readonly name: string;

  constructor(name: string) {
    this.name = name;
    this.#server = createServer((incoming, response) => {
      if (incoming.url === "/base/health") {
        this.checks += 1;
        void this.healthy.then(() => response.end("fine"));
        return;
      }
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", () => undefined);
      incoming.on("end", () => {
        const { method, url, headers } = incoming;
        this.seen.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
        this.behaviour(incoming, response);
      });
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/base/`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
