import type { Launcher } from "./launcher.ts";

/** The same server as another launcher starts, given its requests unread. */
export function unread(launcher: Launcher): Launcher {
  return { ...launcher, protocol: "passthrough", health: launcher.health ?? "/ping" };
}

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

const MLFLOW: Launcher = {
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
};

/** Of MLflow models whose requests no signature of ours can describe: they are passed on unread. */
export const UNREAD_LAUNCHER = "mlflow-passthrough";

/** Launchers that every server has; `launchers:` in its configuration changes and adds to them. */
export const BUILT_IN_LAUNCHERS: Readonly<Record<string, Launcher>> = {
  mlflow: MLFLOW,
  [UNREAD_LAUNCHER]: unread(MLFLOW),
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

/** The same in words. */
export const BUILT_IN_NAMES = Object.keys(BUILT_IN_LAUNCHERS).join(", ");
