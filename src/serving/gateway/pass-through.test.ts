import fc from "fast-check";
import { expect, test } from "vitest";

import { requestHeaders, responseHeaders } from "./forward-headers.ts";
import { passedPath } from "./passed-path.ts";

test.each([
  ["/endpoints/e", { endpoint: "e", prefix: "/endpoints/e", path: "/" }],
  ["/endpoints/e/", { endpoint: "e", prefix: "/endpoints/e", path: "/" }],
  ["/endpoints/e?q=/x", { endpoint: "e", prefix: "/endpoints/e", path: "/?q=/x" }],
  ["/endpoints/e/a%2Fb//c?q", { endpoint: "e", prefix: "/endpoints/e", path: "/a%2Fb//c?q" }],
  ["/endpoints/e/...?..", { endpoint: "e", prefix: "/endpoints/e", path: "/...?.." }],
  ["/endpoints/", null],
  ["/endpoints", null],
  ["/endpoints//x", null],
  ["/endpoints/e/../x", null],
  ["/endpoints/e/..", null],
  ["/endpoints/e/./x", null],
  ["/endpoints/e/x/%2e%2E/y", null],
  ["/endpoints/e/.%2e/y", null],
  ["/endpoints/e/..\\x", null],
  ["/endpoints/e/a\\..", null],
  ["/endpoints/e/..%2Fx", null],
  ["/endpoints/e/a%2f%2e.%5Cx", null],
  ["/endpoints/e/..;a=b/x", null],
  ["/endpoints/e/..a/b..;/.c", { endpoint: "e", prefix: "/endpoints/e", path: "/..a/b..;/.c" }],
  ["/v2/models/e", null],
])("%j is passed on to %j", (url, expected) => {
  expect(passedPath(url)).toEqual(expected);
});

test("whatever is passed on stays below the server's own path", () => {
  const dots = fc.constantFrom("..", ".", "%2e", "%2E%2e", "a", "", "\\", "%2F", "%5c", ";");
  const part = fc.oneof(
    fc.stringMatching(/^[!-~]*$/),
    fc.array(dots).map((each) => each.join("")),
  );
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const to = passedPath(`/endpoints/e/${parts.join("/").replaceAll("?", "")}`);
      if (to === null) return;
      // As it is, as servers read it that decode it first, and as those that know path parameters.
      const decoded = to.path.replaceAll(/%2f/gi, "/").replaceAll(/%5c/gi, "\\");
      for (const path of [to.path, decoded, decoded.replaceAll(/;[^/\\]*/g, "")])
        expect(new URL(`http://h/base${path}`).pathname).toMatch(/^\/base(\/|$)/);
    }),
  );
});

test("headers of the connection stay on it, in both directions", () => {
  const headers = {
    connection: "keep-alive, X-Mine",
    "x-mine": "1",
    "keep-alive": "timeout=5",
    te: "trailers",
    "transfer-encoding": "chunked",
    upgrade: "h2c",
    accept: "text/event-stream",
  };
  expect(responseHeaders(headers)).toEqual({ accept: "text/event-stream" });
  expect(requestHeaders({ headers, remoteAddress: "127.0.0.1" }, "/endpoints/e")).toEqual({
    accept: "text/event-stream",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "http",
    "x-forwarded-prefix": "/endpoints/e",
  });
});

test("what a proxy before the gateway said of its caller stays", () => {
  const said = {
    host: "127.0.0.1:8080",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-host": "api.example",
    "x-forwarded-prefix": "/ml",
    "x-forwarded-proto": "https",
  };
  expect(requestHeaders({ headers: said, remoteAddress: "127.0.0.1" }, "/endpoints/e")).toEqual({
    "x-forwarded-for": "10.0.0.1, 127.0.0.1",
    "x-forwarded-host": "api.example",
    "x-forwarded-prefix": "/ml/endpoints/e",
    "x-forwarded-proto": "https",
  });
});

test("who called is told, what only the gateway may say is not believed", () => {
  const headers = {
    host: "models:8080",
    expect: "100-continue",
    "x-forwarded-for": "10.0.0.1",
    "x-lastgood-probe": "guess.1",
    "x-lastgood-key": "customer-7",
    authorization: "Bearer own",
  };
  expect(requestHeaders({ headers, remoteAddress: "127.0.0.1" }, "/endpoints/e")).toEqual({
    authorization: "Bearer own",
    "x-lastgood-key": "customer-7",
    "x-forwarded-for": "10.0.0.1, 127.0.0.1",
    "x-forwarded-host": "models:8080",
    "x-forwarded-proto": "http",
    "x-forwarded-prefix": "/endpoints/e",
  });
  expect(responseHeaders({ "x-lastgood-version": "forged", "set-cookie": ["a", "b"] })).toEqual({
    "set-cookie": ["a", "b"],
  });
});

test("a request that names no endpoint has no prefix to tell of", () => {
  expect(requestHeaders({ headers: {}, remoteAddress: "127.0.0.1" }, "")).toEqual({
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "http",
  });
});
