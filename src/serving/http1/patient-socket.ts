import { Socket } from "node:net";

type Told = (error?: Error | null) => void;

/**
 * Tells a failed write only when all has been read that came before: a stream ends at once with its
 * error, and a server that refuses an upload closes the connection right behind its answer.
 */
function afterReading(told: Told): Told {
  return (error) => {
    if (error === null || error === undefined) told(error);
    // Twice: the first one still comes before the event loop looks for something to read.
    else setImmediate(() => setImmediate(told, error));
  };
}

/** A socket whose failed writes do not keep back what the other side had sent. */
export class PatientSocket extends Socket {
  override _write(chunk: unknown, encoding: BufferEncoding, told: Told): void {
    // oxlint-disable-next-line no-underscore-dangle -- the stream interface names it so
    super._write(chunk, encoding, afterReading(told));
  }

  override _writev(
    chunks: { readonly chunk: unknown; readonly encoding: BufferEncoding }[],
    told: Told,
  ): void {
    // oxlint-disable-next-line no-underscore-dangle -- the stream interface names it so
    super._writev?.(chunks, afterReading(told));
  }
}
