import * as z from "zod";

const UNIT_BYTES = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
} as const;

/** Bytes as files write them: `512MB`, `2GiB`; 1 MB at least. */
export const byteSizeSchema = z.string().transform((text, context): number => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?(B|kB|MB|GB|KiB|MiB|GiB)$/.exec(text) ?? [];
  const bytes = Number(amount) * UNIT_BYTES[unit as keyof typeof UNIT_BYTES];
  if (bytes >= 1e6) return Math.round(bytes);
  context.addIssue({ code: "custom", message: "must be 1MB or more, such as 512MB or 2GiB" });
  return z.NEVER;
});
