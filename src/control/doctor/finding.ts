import type { DoctorCheck } from "../../core/api/index.ts";

/** All is as it should be. */
export function fine(check: string, message: string): DoctorCheck {
  return { check, ok: true, level: "ok", message, hint: null };
}

/** Worth knowing, nothing to do. */
export function note(check: string, message: string, hint: string | null = null): DoctorCheck {
  return { check, ok: true, level: "note", message, hint };
}

/** Works now, may not later. */
export function warning(check: string, message: string, hint: string): DoctorCheck {
  return { check, ok: true, level: "warning", message, hint };
}

/** Does not work, or a rollback would not. */
export function wrong(check: string, message: string, hint: string): DoctorCheck {
  return { check, ok: false, level: "error", message, hint };
}
