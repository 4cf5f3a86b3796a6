import { Socket, type SocketConstructorOpts } from "node:net";

/** What is read at once, bytes. */
const READ_BYTES = 64 * 1024;

/** What all accepted connections of a thread read into, one after the other. */
let shared: Buffer | null = null;

/** Where Node keeps the connection of a socket. */
interface HandleOwner {
  _handle?: SocketConstructorOpts["handle"] | null;
}

/**
 * An accepted connection as a socket that reads into memory which is there already, and gives what came
 * to `take`, a copy of its own; where that answers false, the socket tells it as `data`.
 *
 * Node has `onread` for that, but lets only those who connect choose it: for each read of an accepted
 * connection it sets 64 KiB aside, copies what came and frees them, and passes a stream. That is 5 % of
 * what a small request costs here. `accepted` must not read yet (`pauseOnConnect`); its server waits for
 * it until the new socket has closed. Where Node keeps its connection elsewhere, `accepted` is given back.
 */
export function readingSocket(accepted: Socket, take: (bytes: Buffer) => boolean): Socket {
  const owner = accepted as HandleOwner;
  const { _handle: handle } = owner;
  if (handle === undefined || handle === null) return accepted.resume();
  // oxlint-disable-next-line no-underscore-dangle -- Node names it so
  owner._handle = null;
  shared ??= Buffer.allocUnsafeSlow(READ_BYTES);
  const buffer = shared;
  const told = (length: number): boolean => {
    const bytes = Buffer.allocUnsafe(length);
    buffer.copy(bytes, 0, 0, length);
    // What was read before and put back comes first.
    if (socket.readableLength === 0 && take(bytes)) return true;
    return socket.push(bytes);
  };
  const { allowHalfOpen } = accepted;
  const socket = new Socket({ handle, allowHalfOpen, onread: { buffer, callback: told } });
  socket.once("close", () => accepted.destroy());
  return socket;
}
