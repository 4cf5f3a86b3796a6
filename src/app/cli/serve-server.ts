import { existsSync } from "node:fs";

import type { LastgoodClient } from "../../client/index.ts";
import { LastgoodError } from "../../core/errors/index.ts";
import { formatDuration } from "../../core/time/index.ts";
import {
  Supervisor,
  type ProcessEvent,
  type ServerFile,
  type ServerOptions,
} from "../supervise/index.ts";
import { whenReady } from "./server-ready.ts";
import type { Session } from "./session.ts";

/** Everything a server is started with but where its events go. */
export type ServeSettings = Omit<ServerOptions, "onEvent">;

/** A server that has just become ready. */
export interface ReadyServer {
  readonly file: ServerFile;
  readonly client: LastgoodClient;
}

/** Called once with a ready server; `"end"` ends it again. */
export type OnReady = (server: ReadyServer) => Promise<"end" | void> | "end" | void;

/**
 * Runs a server until it is told to end: `onReady` is called once both processes answer and what
 * they served before is loaded again. An error of `onReady` ends the server.
 * @throws what the supervisor or `onReady` throws.
 */
export async function runServer(
  session: Session,
  settings: ServeSettings,
  onReady: OnReady,
): Promise<void> {
  const { promise: ended, resolve: onEnd } = Promise.withResolvers<string | null>();
  const wantsEnd = stopOnSignals(session, () => onEnd(null));
  const supervisor = await Supervisor.start({
    ...settings,
    onEvent: (event) => {
      reportEvent(session, event);
      const isGone = event.kind === "ended" && !existsSync(settings.dataDir);
      if (isGone) onEnd(`the data folder ${settings.dataDir} is gone`);
    },
  });
  wantsEnd.onSecond(() => void supervisor.end());
  try {
    const url = `http://${supervisor.file.apiAddress}`;
    const client = await session.clientFor(url, { forMs: 10_000, whenRefused: true });
    const server = { file: supervisor.file, client };
    const told = whenReady(client, ended).then((found) => {
      if (found === "late")
        session.terminal.note("not everything is loaded yet: lastgood status shows what");
      return found === "ended" ? undefined : onReady(server);
    });
    if ((await Promise.race([told, ended])) === "end") onEnd(null);
    const why = await ended;
    if (why !== null) throw new LastgoodError("store.unavailable", why);
  } finally {
    await supervisor.end();
  }
  session.terminal.note("stopped");
}

/** The first signal begins an orderly end, the second one hurries it; a closed terminal is neither. */
function stopOnSignals(
  session: Session,
  onFirst: () => void,
): { onSecond(hurry: () => void): void } {
  let count = 0;
  let hurry: (() => void) | null = null;
  const stop = (): void => {
    count += 1;
    if (count === 1) {
      session.terminal.note("stopping: requests in flight are finished first (again: at once)");
      onFirst();
    } else if (hurry === null) process.exit(130);
    else hurry();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", () => undefined);
  return {
    onSecond: (callback) => {
      hurry = callback;
    },
  };
}

function again(ms: number): string {
  return ms === 0 ? "starting it again" : `starting it again in ${formatDuration(ms)}`;
}

function reportEvent(session: Session, event: ProcessEvent): void {
  if (event.kind === "ended")
    session.terminal.note(`the ${event.role} (pid ${event.pid}) ended; ${again(event.againInMs)}`);
  else if (event.kind === "failed")
    session.terminal.note(
      `the ${event.role} did not start: ${event.why}; ${again(event.againInMs)}`,
    );
  else if (event.kind === "replaced")
    session.terminal.note(
      `the ${event.role} (pid ${event.pid}) is of another build or configuration; replacing it`,
    );
  else if (event.kind === "adopted")
    session.terminal.note(`the ${event.role} (pid ${event.pid}) was still running; taken over`);
}

/** The lines that greet whoever started the server. */
export function describeServer(session: Session, file: ServerFile, next: string): string[] {
  const { terminal } = session;
  const label = (text: string): string => terminal.style("dim", text.padEnd(9));
  return [
    `${terminal.style(["bold", "green"], "lastgood")} ${file.version} is ready`,
    `  ${label("API")} http://${file.apiAddress}`,
    `  ${label("serving")} http://${file.serveAddress}`,
    ...(file.grpcAddress === null ? [] : [`  ${label("gRPC")} ${file.grpcAddress}`]),
    `  ${label("data")} ${file.dataDir}`,
    `  ${label("next")} ${next}`,
  ];
}
