import { afterTurn } from '../lib/base/clock.ts'

/** Resolves when others have had their turn. */
export async function turn (): Promise<void> {
  await new Promise<void>(resolve => { afterTurn(resolve) })
}
