import { createServer } from "node:net";
import { join } from "node:path";

import { LastgoodError } from "../../core/errors/index.ts";
import { listenerPid, takeKernelLock, type KernelLock } from "../../link/lock/index.ts";

function inUse(host: string, port: number, holder: string, flag: string): LastgoodError {
  const pid = listenerPid(port);
  const who = pid === null ? holder : `process ${pid}`;
  return new LastgoodError("address.in-use", `${host}:${port} is in use by ${who}`, {
    hint: `choose another address with ${flag}, or end that process first`,
    details: { address: `${host}:${port}`, pid },
  });
}

interface Wanted {
  readonly host: string;
  readonly port: number;
  /** The option that names another one. */
  readonly flag: string;
}

function bindOnce({ host, port, flag }: Wanted, reusePort = false): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = `cannot listen on ${host}:${port}: ${error.message}`;
      if (error.code === "EADDRINUSE") reject(inUse(host, port, "another process", flag));
      else reject(new LastgoodError("config.invalid", why, { cause: error }));
    });
    server.listen({ host, port, reusePort, exclusive: true }, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === "object" && bound !== null ? bound.port : port));
    });
  });
}

/** An address that is this process's alone. */
export interface TakenAddress {
  readonly port: number;
  readonly lock: KernelLock;
  /** Whether the system lets several threads listen on it. */
  readonly reusePort: boolean;
}

/**
 * Makes the address ours before any worker listens with `reusePort`, which would share it silently
 * with a stranger: takes the address lock in `folder`, then binds once without `reusePort` and
 * closes. Port 0 becomes the port the system gave.
 * @throws `address.in-use` naming the pid where the system shows it.
 */
export async function takeAddress(
  folder: string,
  host: string,
  port: number,
  flag = "--serve-address",
): Promise<TakenAddress> {
  const bound = port === 0 ? await bindOnce({ host, port, flag }) : port;
  const address = { host, port: bound, flag };
  const name = `address-${host.replaceAll(/[^A-Za-z0-9.]/g, "_")}-${bound}.lock.sqlite`;
  const lock = takeKernelLock(join(folder, name));
  if (lock === null) throw inUse(host, bound, "another lastgood gateway", flag);
  try {
    await bindOnce(address);
    const reusePort = await bindOnce(address, true).then(
      () => true,
      () => false,
    );
    return { port: bound, lock, reusePort };
  } catch (error) {
    lock.release();
    throw error;
  }
}
