/** Makes the TypeScript of the `.proto` files, beside them: `npm run protos`. */
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const folder = "src/serving/protocol-oip-grpc";
const plugins = [
  { local: "protoc-gen-es", out: folder, opt: ["target=ts", "import_extension=ts"] },
];

execFileSync(
  join(root, "node_modules/.bin/buf"),
  ["generate", folder, "--template", JSON.stringify({ version: "v2", plugins })],
  { cwd: root, stdio: "inherit" },
);
