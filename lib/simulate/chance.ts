/** Chance from one seed, in streams with names of their own, so that one more draw in one of them does not shift the others. */
import { seededRandom, type Random } from '../base/random.ts'

export class Chance {
  readonly random: Random

  constructor (seed: number, name: string) {
    let hash = seed >>> 0
    for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0
    this.random = seededRandom(hash)
  }

  /** True with that probability. */
  hits (probability: number): boolean {
    return this.random.next() < probability
  }

  /** A whole number from `min` to `max`, both possible. */
  from (min: number, max: number): number {
    return min + Math.floor(this.random.next() * (max - min + 1))
  }

  /** One of a list that is not empty. */
  of<T> (list: readonly T[]): T {
    return list[this.from(0, list.length - 1)] as T
  }
}
