import type { Launcher } from "./launcher.ts";

/** What a launcher is that names only its command. */
export const LAUNCHER_DEFAULTS = {
  protocol: "oip",
  path: null,
  health: null,
  retries: false,
  python: "python3",
  environment: "none",
  requirements: "requirements.txt",
  env: {},
  startTimeoutMs: 60_000,
  installTimeoutMs: 900_000,
  stopTimeoutMs: 3_000,
  unhealthyMs: 60_000,
  memoryBytes: null,
} as const satisfies Partial<Launcher>;

/** Libraries of a model are large: the first start reads them from disk. */
const SLOW_START_MS = 120_000;

/** Launchers that every server has; `launchers:` in its configuration changes and adds to them. */
export const BUILT_IN_LAUNCHERS: Readonly<Record<string, Launcher>> = {
  mlflow: {
    ...LAUNCHER_DEFAULTS,
    command:
      "{python} -m mlflow models serve --model-uri {folder} --host 127.0.0.1 --port {port} --env-manager local".split(
        " ",
      ),
    protocol: "mlflow",
    model: "mlflow",
    // A pyfunc model answers and changes nothing.
    retries: true,
    environment: "venv",
    startTimeoutMs: SLOW_START_MS,
  },
  python: {
    ...LAUNCHER_DEFAULTS,
    command: ["{python}", "serve.py"],
    model: "python",
    environment: "venv",
  },
  bentoml: {
    ...LAUNCHER_DEFAULTS,
    command: "{python} -m bentoml serve . --host 127.0.0.1 --port {port}".split(" "),
    protocol: "json",
    model: "bentoml",
    health: "/readyz",
    environment: "venv",
    startTimeoutMs: SLOW_START_MS,
  },
};
