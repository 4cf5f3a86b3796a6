// The house in rules: what each plane may import. `npm run layers` checks it.

/** Downward only. A plane may always import itself. */
const planes = {
  core: [],
  link: ["core"],
  // Law 7, the data plane outlives the control plane: serving never imports control or storage.
  serving: ["core", "link"],
  storage: ["core"],
  control: ["core", "link", "storage"],
  client: ["core"],
  app: ["core", "link", "serving", "storage", "control", "client"],
};

/** What core may take from npm: no input or output, no state. */
const purePackages = ["zod", "semver"];

/** Bundled into dist by esbuild, so that a user installs one package. */
const bundledPackages = [
  ...purePackages,
  "hono",
  "@hono/node-server",
  "@hono/zod-openapi",
  "kysely",
  "@grpc/grpc-js",
  "@bufbuild/protobuf",
  "commander",
  "@commander-js/extra-typings",
  "cli-table3",
  "yaml",
  "pino",
];

/** Installed with the package: native code and WebAssembly. */
const runtimePackages = ["onnxruntime-node", "onnxruntime-web"];

const npm = [
  "npm",
  "npm-dev",
  "npm-optional",
  "npm-peer",
  "npm-bundled",
  "npm-no-pkg",
  "npm-unknown",
];
const installed = (packages) => `node_modules/(@types/)?(${packages.join("|")})/`;

const test = "[.]test[.]ts$";
const room = "^src/([^/]+/[^/]+)/";
const roomIndex = "^src/[^/]+/[^/]+/index[.]ts$";

export default {
  forbidden: [
    {
      name: "no-cycle",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    ...Object.entries(planes).map(([plane, may]) => ({
      name: `plane-${plane}`,
      comment: `${plane} may import only: ${[plane, ...may].join(", ")}`,
      severity: "error",
      from: { path: `^src/${plane}/`, pathNot: test },
      to: { path: "^src/", pathNot: [plane, ...may].map((name) => `^src/${name}/`) },
    })),
    {
      name: "law-7",
      comment:
        "The data plane outlives the control plane, tests included: " +
        "serving never imports control or storage.",
      severity: "error",
      from: { path: "^src/serving/" },
      to: { path: "^src/(control|storage)/" },
    },
    {
      name: "known-plane",
      comment: "Every file belongs to a plane. A new plane is added to the table first.",
      severity: "error",
      from: { path: "^src/", pathNot: Object.keys(planes).map((plane) => `^src/${plane}/`) },
      to: {},
    },
    {
      name: "front-door-only",
      comment: "A room is entered through its index.ts.",
      severity: "error",
      from: { path: room, pathNot: test },
      to: { path: "^src/[^/]+/[^/]+/", pathNot: ["^src/$1/", roomIndex] },
    },
    {
      name: "front-door-only-from-a-plane",
      comment: "Also for files that lie in a plane but in no room.",
      severity: "error",
      from: { path: "^src/[^/]+/[^/]+[.]ts$", pathNot: test },
      to: { path: "^src/[^/]+/[^/]+/", pathNot: roomIndex },
    },
    {
      name: "front-door-of-a-plane",
      comment: "A plane without rooms is entered through its own index.ts.",
      severity: "error",
      from: { path: "^src/([^/]+)/", pathNot: test },
      to: { path: "^src/[^/]+/[^/]+[.]ts$", pathNot: ["^src/$1/", "/index[.]ts$"] },
    },
    {
      name: "own-index",
      comment:
        "Inside a room files import each other, never their own index: that is a cycle. Tests may.",
      severity: "error",
      from: { path: room, pathNot: ["/index[.]ts$", test] },
      to: { path: "^src/$1/index[.]ts$" },
    },
    {
      name: "core-is-pure",
      comment: `core imports nothing of Node, and from npm only ${purePackages.join(" and ")}.`,
      severity: "error",
      from: { path: "^src/core/", pathNot: test },
      to: { dependencyTypes: ["core", ...npm], pathNot: installed(purePackages) },
    },
    {
      name: "known-packages",
      comment:
        "src imports only packages that are bundled into dist or installed with it. " +
        "A new one is added to the list above, with its reason in docs/decisions.",
      severity: "error",
      from: { path: "^src/", pathNot: test },
      to: { dependencyTypes: npm, pathNot: installed([...bundledPackages, ...runtimePackages]) },
    },
    {
      name: "resolvable",
      severity: "error",
      from: { path: "^src/" },
      to: { couldNotResolve: true },
    },
    {
      name: "no-test-import",
      comment: "Production code never imports tests, tools or benchmarks.",
      severity: "error",
      from: { path: "^src/", pathNot: test },
      to: { path: `${test}|^(test|tools|bench)/` },
    },
  ],
  options: {
    parser: "swc",
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: [".ts", ".js", ".mjs", ".cjs", ".json"],
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
    },
    doNotFollow: { path: "node_modules" },
  },
};
