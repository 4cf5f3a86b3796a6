/** One arm as the split sees it. */
export interface WeightedArm {
  readonly revision: number;
  /** Percent of the traffic, above 0. */
  readonly weight: number;
}

/** A number in (0, 1) that depends on every bit of the text; the same in every process. */
function unitHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  // FNV-1a leaves the last characters in the low bits; the finalizer of MurmurHash3 spreads them.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash ^= hash >>> 16;
  return ((hash >>> 0) + 0.5) / 2 ** 32;
}

/**
 * The arm of a sticky key: weighted rendezvous hashing, so raising one arm's share against the
 * others only ever moves keys to that arm. Null where there is no arm.
 */
export function stickyArm(arms: readonly WeightedArm[], salt: string, key: string): number | null {
  let best: number | null = null;
  let bestScore = -1;
  for (const arm of arms) {
    const score = -arm.weight / Math.log(unitHash(`${salt}\0${arm.revision}\0${key}`));
    if (score > bestScore) {
      best = arm.revision;
      bestScore = score;
    }
  }
  return best;
}
