import type { Clock } from './clock.ts'
import type { InterfaceAddress } from './interfaces.node.ts'

export type { InterfaceAddress }

export const LOOK_MS = 1_000

/** A page is not told on which networks it is. */
export function listInterfaces (): InterfaceAddress[] {
  return []
}

export function watchInterfaces (_clock: Clock, _onChange: (now: readonly InterfaceAddress[]) => void): () => void {
  return () => {}
}
