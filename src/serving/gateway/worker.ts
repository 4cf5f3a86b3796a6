import { parentPort, workerData, type MessagePort } from "node:worker_threads";

import { LastgoodError } from "../../core/errors/index.ts";
import type { GrpcProtocol, ScoringProtocol } from "../protocol/index.ts";
import { EndpointBook } from "./endpoint-book.ts";
import { GrpcFront } from "./grpc-front.ts";
import { HttpFront } from "./http-front.ts";
import { Inference } from "./inference.ts";
import type { ConnectModel } from "./served-revision.ts";
import type { FromWorker, ToWorker, WorkerCommand, WorkerSettings } from "./thread-messages.ts";

const COUNTS_EVERY_MS = 1_000;

/** What a worker thread is composed of. */
export interface WorkerParts {
  readonly connectModel: ConnectModel;
  readonly protocols: readonly ScoringProtocol[];
  /** Loads the protocol of the gRPC port. */
  readonly grpc: () => Promise<GrpcProtocol>;
}

/** Runs this thread as one worker of the gateway, until the main thread ends it. */
export function runWorker(parts: WorkerParts): void {
  const port = parentPort;
  if (port === null) throw new Error("a gateway worker is a thread, it cannot run by itself");
  const settings = workerData as WorkerSettings;
  const post = (message: FromWorker): void => port.postMessage(message);
  const book = new EndpointBook(settings, parts.connectModel, post);
  const inference = new Inference(book, settings.probeToken);
  const fronts = [
    new HttpFront(settings, book, { inference, protocols: parts.protocols }),
    new GrpcFront(settings, { inference, book, load: parts.grpc }),
  ];
  const flush = (): void => {
    const counts = book.changedCounts();
    if (counts.length > 0) post({ kind: "counts", counts });
  };
  // It costs one request, not the connections of all.
  process.on("unhandledRejection", (error) => post({ kind: "defect", error: String(error) }));
  setInterval(flush, COUNTS_EVERY_MS);
  listenToMain(port, { book, fronts, flush, post });
}

/** A port of the worker's. */
type Front = Pick<HttpFront, "listen" | "stopListening" | "drain">;

interface Worker {
  readonly book: EndpointBook;
  readonly fronts: readonly Front[];
  readonly flush: () => void;
  readonly post: (message: FromWorker) => void;
}

function listenToMain(port: MessagePort, worker: Worker): void {
  port.on("message", (message: ToWorker) => {
    switch (message.kind) {
      case "open":
        worker.book.served(message.key).open();
        return;
      case "away":
        worker.book.served(message.key).gate.close();
        return;
      case "unavailable":
        worker.book.served(message.key).gate.refuse(message.why);
        return;
      case "grant":
        worker.book.suspects.grant(message.suspect);
        return;
      case "command":
        answer(worker, message.id, message.command);
    }
  });
}

function answer(worker: Worker, id: number, command: WorkerCommand): void {
  const failed = (error: unknown): void =>
    worker.post({ kind: "failed", id, error: LastgoodError.from(error).toBody() });
  try {
    const result = carryOut(worker, command);
    // A switch is acknowledged in the tick it happens in.
    if (result instanceof Promise)
      result.then((value: unknown) => worker.post({ kind: "done", id, result: value }), failed);
    else worker.post({ kind: "done", id, result });
  } catch (error) {
    failed(error);
  }
}

function carryOut({ book, fronts, flush }: Worker, command: WorkerCommand): unknown {
  switch (command.kind) {
    case "connect":
      return book.connect(command.key, command.address, command.inFlight);
    case "disconnect":
      return book.disconnect(command.key);
    case "swap":
      return book.swap(command.route, command.interval, command.holdMs);
    case "listen":
      return Promise.all(fronts.map((front) => front.listen()));
    case "usage":
      return book.usage(command.endpoint, command.since);
    case "lastCounts":
      book.evidence.end();
      flush();
      return book.predictions.end();
    case "strikes":
      return book.strikes(command.keys);
    case "stopListening":
      return Promise.all(fronts.map((front) => front.stopListening()));
    case "drain":
      return Promise.all(fronts.map((front) => front.drain(command.timeoutMs)));
  }
}
