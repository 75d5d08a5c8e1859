/** Long work as a generator: done at once, or a step in each turn of the event loop. */

export type Steps<Result> = Generator<undefined, Result>

export function atOnce<Result> (steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** @param turn resolves when others have had their turn */
export async function inTurns<Result> (steps: Steps<Result>, turn: () => Promise<void>): Promise<Result> {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    await turn()
  }
}
