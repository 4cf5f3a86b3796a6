import { isToken } from "./fields.ts";

/** Nothing that would end the line or begin another part of it. */
const TARGET = /^\/[\x21-\x7e\x80-\xff]*$/;

/**
 * The first lines of a request, which has to say where it goes.
 * @throws `TypeError` for a method or a path that would become something else on the wire.
 */
export function startOf(method: string, path: string, host: string): string {
  if (!isToken(method) || !TARGET.test(path))
    throw new TypeError("the method or the path of a request holds what neither may");
  return `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`;
}
