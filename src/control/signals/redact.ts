const LONGEST = 400;

const RULES: readonly (readonly [RegExp, string])[] = [
  // What stands behind a telling name, in JSON, in key=value and in headers.
  [
    /((?:pass(?:word|wd)?|secret|token|api[_-]?key|authorization|cookie|credential)s?["']?\s*[:=]\s*)(?:(?:bearer|basic)\s+)?("[^"]*"|'[^']*'|[^\s,;&}]+)/gi,
    "$1***",
  ],
  [/\b(bearer|basic)\s+[\w+/=.~-]{8,}/gi, "$1 ***"],
  [/(\w+:\/\/)[^\s/@:]*:[^\s/@]*@/g, "$1***@"],
  [/[\w.+-]+@[\w-]+\.[\w.-]+/g, "***@***"],
  // Keys and tokens by their looks: long and of letters and digits mixed.
  [/\b(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[A-Za-z0-9_-]{32,}\b/g, "***"],
  // Card and account numbers.
  [/\b\d(?:[ -]?\d){12,18}\b/g, "***"],
];

/** A log line as an incident may keep it: secrets and addresses taken out, of bounded length, one line. */
export function redacted(line: string): string {
  const cut = line.slice(0, LONGEST * 4).replaceAll(/\p{Cc}+/gu, " ");
  const text = RULES.reduce((so, [pattern, by]) => so.replaceAll(pattern, by), cut).trim();
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}
