/** Chance as an argument, so that tests can replay it. The only file that may draw the real one. */
export interface Random {
  /** Uniform in [0, 1). */
  next (): number
  /** Fresh unpredictable bytes, at most 65,536 at once; predictable from a seed only in tests. */
  bytes (count: number): Uint8Array
}

export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: count => crypto.getRandomValues(new Uint8Array(count))
}

/**
 * Replays the same draws for the same seed. Never for keys outside tests.
 * Source: sfc32, Chris Doty-Humphrey, PractRand, 2010 (public domain).
 *
 * @param seed any integer; only its low 32 bits count
 */
export function seededRandom (seed: number): Random {
  let [a, b, c, counter] = [seed >>> 0, 0x9e3779b9, 0x243f6a88, 1]
  const draw = (): number => {
    const sum = (a + b + counter) >>> 0
    counter = (counter + 1) >>> 0
    a = (b ^ (b >>> 9)) >>> 0
    b = (c + (c << 3)) >>> 0
    c = (((c << 21) | (c >>> 11)) + sum) >>> 0
    return sum
  }
  for (let round = 0; round < 15; round++) draw()
  return {
    next: () => draw() / 2 ** 32,
    bytes: count => Uint8Array.from({ length: count }, () => draw() & 255)
  }
}
