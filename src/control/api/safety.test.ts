import fc from "fast-check";
import { expect, test } from "vitest";

import { LastgoodError } from "../../core/errors/index.ts";
import {
  allowedHosts,
  checkContentType,
  checkFetchSite,
  checkHost,
  checkOrigin,
} from "./safety.ts";

const hosts = allowedHosts("127.0.0.1", 5000);

function codeOf(run: () => void): string {
  try {
    run();
    return "taken";
  } catch (error) {
    return LastgoodError.from(error).code;
  }
}

const originCode = (origin: string | undefined): string =>
  codeOf(() => checkOrigin(origin, "localhost:5000"));
const typeCode = (header: string | undefined): string =>
  codeOf(() => checkContentType(header, "application/json"));

test("the names of this machine are accepted with the port, in any case", () => {
  for (const host of ["127.0.0.1:5000", "localhost:5000", "[::1]:5000", "LOCALHOST:5000"])
    expect(codeOf(() => checkHost(host, hosts))).toBe("taken");
});

test.each([
  [undefined],
  [""],
  ["localhost"],
  ["localhost:5001"],
  ["localhost.:5000"],
  ["evil.example:5000"],
  ["127.0.0.1:5000.evil.example"],
  ["evil.example@127.0.0.1:5000"],
  ["127.0.0.1:5000,evil.example"],
])("the Host %s is refused", (host) => {
  expect(codeOf(() => checkHost(host, hosts))).toBe("host.forbidden");
});

test("the configured host is accepted, a name or an IPv6 address", () => {
  expect(codeOf(() => checkHost("box.lan:80", allowedHosts("Box.lan", 80)))).toBe("taken");
  expect(codeOf(() => checkHost("box.lan", allowedHosts("Box.lan", 80)))).toBe("taken");
  expect(codeOf(() => checkHost("[fd00::1]:5000", allowedHosts("fd00::1", 5000)))).toBe("taken");
});

test("no Origin and the own one are accepted, every other one is refused", () => {
  expect(originCode(undefined)).toBe("taken");
  expect(originCode("http://localhost:5000")).toBe("taken");
  for (const origin of [
    "null",
    "",
    "http://localhost:5001",
    "https://localhost:5000",
    "http://127.0.0.1:5000",
    "http://evil.example",
  ])
    expect(originCode(origin)).toBe("origin.forbidden");
});

test.each([
  [undefined, undefined, undefined, "taken"],
  ["same-origin", "cors", "empty", "taken"],
  ["none", "navigate", "document", "taken"],
  ["cross-site", "navigate", "document", "taken"],
  ["cross-site", "no-cors", "image", "origin.forbidden"],
  ["cross-site", "no-cors", "script", "origin.forbidden"],
  ["cross-site", "navigate", "iframe", "origin.forbidden"],
  ["same-site", "no-cors", "empty", "origin.forbidden"],
])("a browser's %s request, %s for a %s, is %s", (site, mode, dest, expected) => {
  expect(codeOf(() => checkFetchSite({ site, mode, dest }))).toBe(expected);
});

test("only the exact media type in UTF-8 is accepted", () => {
  expect(typeCode("application/json")).toBe("taken");
  expect(typeCode("Application/JSON; Charset=UTF-8")).toBe("taken");
  for (const header of [
    undefined,
    "",
    "text/plain",
    "text/plain; application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=application/json",
    "application/json; charset=latin1",
    "application/jsonp",
  ])
    expect(typeCode(header)).toBe("content-type.unsupported");
});

test("headers of any content end in a closed code, never in anything else", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      expect(["taken", "host.forbidden"]).toContain(codeOf(() => checkHost(a, hosts)));
      expect(["taken", "origin.forbidden"]).toContain(codeOf(() => checkOrigin(a, b)));
      expect(["taken", "content-type.unsupported"]).toContain(
        codeOf(() => checkContentType(a, "application/json")),
      );
    }),
  );
});
