import type { Command } from "@commander-js/extra-typings";

import type { Doctor, DoctorCheck } from "../../../core/api/index.ts";
import { LastgoodError } from "../../../core/errors/index.ts";
import { isAlive } from "../../supervise/index.ts";
import { examples } from "../help-text.ts";
import type { Session } from "../session.ts";

/** `doctor`: checks everything a rollback needs. */
export function define(command: Command, session: Session): void {
  command
    .description(
      "Check everything a rollback needs: Node and engine, data folder, store, the digests of stored files, every endpoint's target (proven now), processes, and what a rollback would do.",
    )
    .addHelpText("after", examples([["lastgood doctor", "exit 0 when all is well, else 1"]]))
    .action(async () => {
      const found = await examine(session);
      session.terminal.answer(found, () => describeDoctor(found, session));
      if (!found.ok) session.exitCode = 1;
    });
}

/** The server's own findings, after those that can be made without one. */
async function examine(session: Session): Promise<Doctor> {
  const local = await localChecks(session);
  try {
    const { ok, checks } = await (await session.client()).doctor();
    return { ok: ok && local.every((check) => check.ok), checks: [...local, ...checks] };
  } catch (error) {
    const { message, hint, code } = LastgoodError.from(error);
    if (code !== "server.unreachable") throw error;
    const silent: DoctorCheck = {
      check: "server",
      ok: false,
      level: "error",
      message,
      hint: hint ?? null,
    };
    return { ok: false, checks: [...local, silent] };
  }
}

async function localChecks(session: Session): Promise<DoctorCheck[]> {
  const url = await session.setting("url");
  if (url !== null) return [];
  const server = await session.serverFile();
  if (server === null || isAlive(server.pid)) return [];
  return [
    {
      check: "supervisor",
      ok: false,
      level: "warning",
      message: `the supervisor (pid ${server.pid}) is gone: what it kept alive goes on, but is not started again`,
      hint: `${session.programName} serve --data-dir ${server.dataDir} takes it over`,
    },
  ];
}

function describeDoctor(found: Doctor, session: Session): string[] {
  const { terminal } = session;
  const signs = {
    ok: terminal.style("green", "ok     "),
    note: terminal.style("cyan", "note   "),
    warning: terminal.style("yellow", "warning"),
    error: terminal.style("red", "error  "),
  };
  const width = Math.max(...found.checks.map(({ check }) => check.length));
  const lines = found.checks.flatMap(({ check, level, message, hint }) => [
    `${signs[level]}  ${check.padEnd(width)}  ${message}`,
    ...(hint === null || level === "ok"
      ? []
      : [`${" ".repeat(11 + width)}${terminal.style("cyan", "next:")} ${hint}`]),
  ]);
  const bad = found.checks.filter(({ ok }) => !ok).length;
  return [
    ...lines,
    found.ok
      ? terminal.style("green", "all is well")
      : `${bad} of ${found.checks.length} need a look`,
  ];
}
