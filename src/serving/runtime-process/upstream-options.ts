/**
 * How a server on this machine is reached. Idle connections are closed before common Python servers
 * close them (gunicorn after 2 s, uvicorn after 5 s): a new one costs little here.
 */
export const LOCAL = {
  keepAliveMs: 1_000,
  hint: "its log is in the data folder, under logs/",
} as const;
