import { createServer } from "node:net";

import { LastgoodError } from "../../core/errors/index.ts";
import { listenerPid } from "../../link/lock/index.ts";
import { formatAddress, type Address } from "../config/index.ts";

/**
 * Binds the address once and lets go of it, so that a stranger on it is found before anything is
 * started. Port 0 becomes a free one. `other` is what the flag takes besides an address.
 * @throws `address.in-use` naming the pid where the system shows it.
 */
export function checkAddress(
  address: Address,
  flag: string,
  other: string | null = null,
): Promise<Address> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(refusal(address, { flag, other }, error)),
    );
    server.listen({ host: address.host, port: address.port, exclusive: true }, () => {
      const bound = server.address();
      const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
      server.close(() => resolve({ host: address.host, port }));
    });
  });
}

function refusal(
  address: Address,
  { flag, other }: { readonly flag: string; readonly other: string | null },
  error: NodeJS.ErrnoException,
): LastgoodError {
  const text = formatAddress(address);
  if (error.code !== "EADDRINUSE") {
    return new LastgoodError("config.invalid", `cannot listen on ${text}: ${error.message}`, {
      hint: `choose another address with ${flag}`,
    });
  }
  const pid = listenerPid(address.port);
  const who = pid === null ? "another process" : `process ${pid}`;
  const choice = `${flag} 127.0.0.1:${address.port + 1}`;
  const choices = other === null ? choice : `${choice}, or ${flag} ${other}`;
  return new LastgoodError("address.in-use", `${text} is in use by ${who}`, {
    hint: `end that process, or choose another address: ${choices}`,
    details: { address: text, pid },
  });
}
