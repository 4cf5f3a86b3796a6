import { createServer, type Server, type Socket } from "node:net";

import type { GrpcProtocol } from "../protocol/index.ts";
import { acceptWhatWaits } from "./accept-what-waits.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import type { GrpcServer } from "./grpc-server.ts";
import type { Inference } from "./inference.ts";
import type { WorkerSettings } from "./thread-messages.ts";

/** What a gRPC front needs of its worker. */
export interface GrpcFrontParts {
  readonly inference: Inference;
  readonly book: EndpointBook;
  /** Loads the protocol's room. */
  readonly load: () => Promise<GrpcProtocol>;
}

/**
 * One worker's gRPC port. The listener is Node's own, since grpc-js cannot share a port between
 * threads; connections are handed to it. The library is loaded by the first of them: most servers
 * have none.
 */
export class GrpcFront {
  readonly #settings: WorkerSettings;
  readonly #parts: GrpcFrontParts;
  readonly #listener: Server;
  #loading: Promise<GrpcServer> | null = null;
  #server: GrpcServer | null = null;

  constructor(settings: WorkerSettings, parts: GrpcFrontParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#listener = createServer({ noDelay: true }, (socket) => this.#take(socket));
  }

  /** Resolves when connections are accepted; at once where there is no gRPC address. */
  listen(): Promise<void> {
    const { grpc } = this.#settings;
    if (grpc === null) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#listener.once("error", reject);
      this.#listener.listen({ ...grpc, backlog: 1024 }, () => {
        this.#listener.off("error", reject);
        resolve();
      });
    });
  }

  /** Accepts no connections from now on; those that wait in the system are accepted first. */
  async stopListening(): Promise<void> {
    if (!this.#listener.listening) return;
    await acceptWhatWaits(this.#listener);
    this.#listener.close();
  }

  /** Finishes what is in flight, cuts what is left after `timeoutMs`; `stopListening` comes first. */
  async drain(timeoutMs: number): Promise<void> {
    await (await this.#loading)?.drain(timeoutMs);
  }

  #take(socket: Socket): void {
    // Where the caller resets it before anybody listens.
    socket.on("error", () => undefined);
    if (this.#server !== null) {
      this.#server.take(socket);
      return;
    }
    this.#loading ??= this.#load();
    this.#loading.then(
      (server) => server.take(socket),
      () => socket.destroy(),
    );
  }

  async #load(): Promise<GrpcServer> {
    const { inference, book, load } = this.#parts;
    const module = await import("./grpc-server.ts");
    const { build } = this.#settings;
    this.#server = new module.GrpcServer({ protocol: await load(), inference, book, build });
    return this.#server;
  }
}
