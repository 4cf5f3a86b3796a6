import { expect, test } from "vitest";

import { unlocked } from "./environment.ts";

test("requirements that say one exact version are locked", () => {
  const text = [
    "# pinned by hand",
    "numpy==2.1.0",
    "mlflow[extras]==3.1.4  # the server",
    "scikit-learn == 1.5.2 ; python_version >= '3.9'",
    "pandas===2.2.3",
    "cloudpickle==3.1.0 \\",
    "    --hash=sha256:aaaa \\",
    "    --hash=sha256:bbbb",
    "",
  ].join("\n");
  expect(unlocked(text)).toEqual([]);
});

test("everything else may bring something else tomorrow, and is named", () => {
  const loose = [
    "numpy",
    "numpy>=2",
    "numpy==2.*",
    "numpy==2.1,!=2.1.1",
    "-r more.txt",
    "./wheel",
    "x @ https://host/x.whl",
  ];
  expect(unlocked(loose.join("\n"))).toEqual(loose);
});
