/** Edit distance: how many letters to add, take away or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const changed = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** Up to three of `known` that `wanted` may have been meant to be, the nearest first. */
export function nearNames(wanted: string, known: Iterable<string>): readonly string[] {
  const folded = wanted.toLowerCase().slice(0, 128);
  const near: { name: string; far: number }[] = [];
  for (const name of known) {
    const other = name.toLowerCase();
    const begins = folded.length >= 2 && (other.startsWith(folded) || folded.startsWith(other));
    const far = begins ? 1 : distance(folded, other);
    if (far <= Math.max(1, Math.ceil(folded.length / 3))) near.push({ name, far });
  }
  return near
    .toSorted((a, b) => a.far - b.far)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** `did you mean v1.1 or v1.10?`, or undefined when nothing is near. */
export function didYouMean(names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : `did you mean ${names.join(" or ")}?`;
}
