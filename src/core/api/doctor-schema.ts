import * as z from "zod";

/** One finding of doctor. */
export const doctorCheckSchema = z.object({
  check: z.string(),
  ok: z.boolean(),
  level: z.enum(["ok", "note", "warning", "error"]),
  message: z.string(),
  hint: z.string().nullable(),
});

/** What doctor found. */
export const doctorSchema = z.object({ ok: z.boolean(), checks: z.array(doctorCheckSchema) });
