import { connect } from "node:net";

/** What came back over a connection. */
export interface RawAnswer {
  readonly text: string;
  /** Status of the first answer; null where there was none. */
  readonly status: number | null;
  /** The other side closed the connection within the time. */
  readonly closed: boolean;
}

/** Sends bytes as they are, and gives what comes back until the other side closes or time is up. */
export function rawExchange(
  port: number,
  bytes: string | Uint8Array,
  options: { readonly waitMs?: number; readonly end?: boolean } = {},
): Promise<RawAnswer> {
  const { waitMs = 2_000, end = false } = options;
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    const chunks: Buffer[] = [];
    const finish = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      const text = Buffer.concat(chunks).toString();
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
      resolve({ text, status: status === undefined ? null : Number(status), closed });
    };
    const timer = setTimeout(() => finish(false), waitMs);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.once("end", () => finish(true));
    socket.once("error", () => finish(true));
    socket.once("connect", () => {
      if (end) socket.end(bytes);
      else socket.write(bytes);
    });
  });
}
