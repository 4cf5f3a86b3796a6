/** Writes the JSON Schema of policy files, for editors, from the schema that reads them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { policyJsonSchema } from "../src/core/policy/index.ts";

const path = join(import.meta.dirname, "..", "docs", "reference", "lastgood.schema.json");
writeFileSync(path, `${JSON.stringify(policyJsonSchema(), null, 2)}\n`);
