import * as z from "zod";

/** A TCP address to listen on. */
export interface Address {
  /** A name or number, without the brackets of IPv6. */
  readonly host: string;
  readonly port: number;
}

const FORM = /^(?:(?:\[(?<six>[0-9a-fA-F:]+)\]|(?<host>[A-Za-z0-9.-]+)):)?(?<port>\d{1,5})$/;

/** `host:port`, `[::1]:port`, or the port alone for 127.0.0.1; loopback only, port 0 for any free one. */
export const addressSchema = z.string().transform((text, context): Address => {
  const groups = FORM.exec(text.trim())?.groups;
  const port = Number(groups?.["port"] ?? NaN);
  if (groups === undefined || !(port <= 65_535)) {
    context.addIssue(`"${text}" is not an address: accepted are 127.0.0.1:5000 and 5000`);
    return z.NEVER;
  }
  const host = groups["six"] ?? groups["host"] ?? "127.0.0.1";
  if (!isLoopback(host)) {
    context.addIssue(
      `"${text}" can be reached from other machines; that needs access tokens, which this version does not have yet: use 127.0.0.1:${port} behind a proxy of your own`,
    );
    return z.NEVER;
  }
  return { host, port };
});

/** The same, or `none`: nothing is listened to. */
export const optionalAddressSchema = z.union([
  z.literal("none").transform((): Address | null => null),
  addressSchema,
]);

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** `host:port` as it stands in a URL. */
export function formatAddress(address: Address): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
