import { networkInterfaces } from 'node:os'
import { platform } from 'node:process'
import type { Clock } from './clock.ts'

/** An address of this machine on one of its network interfaces. */
export interface InterfaceAddress {
  /** The system's name of the interface. */
  readonly name: string
  readonly family: 4 | 6
  /** Without a zone. */
  readonly address: string
  /** Leading bits that its neighbours share: 0 to 32, or to 128. */
  readonly bits: number
  /** What stands after `%` in an address that is meant on this interface: its name or, on Windows, its number. */
  readonly zone: string
  /** It leads nowhere but to this machine. */
  readonly isInternal: boolean
}

/** Between two looks: Node tells of no change. A look takes about 0.1 ms. */
export const LOOK_MS = 1_000

/** Interfaces that are up, by name; none where the system does not tell. */
export function listInterfaces (): InterfaceAddress[] {
  let all: ReturnType<typeof networkInterfaces>
  try {
    all = networkInterfaces()
  } catch {
    return [] // some systems, such as Android, forbid the question
  }
  return Object.entries(all).flatMap(([name, addresses]) => (addresses ?? []).map(({ address, family, cidr, internal, scopeid }) => ({
    name,
    family: family === 'IPv4' ? 4 as const : 6 as const,
    address,
    bits: Number(cidr?.split('/')[1] ?? (family === 'IPv4' ? 32 : 128)),
    zone: platform === 'win32' && scopeid !== undefined ? String(scopeid) : name,
    isInternal: internal
  })))
}

interface Watch { readonly listeners: Set<(now: readonly InterfaceAddress[]) => void>, seen: string, cancel: () => void }

/** One look serves all that watch by the same clock. */
const watches = new WeakMap<Clock, Watch>()

/**
 * Tells when an interface has come or gone, or has another address, within LOOK_MS; also after a sleep that changed any.
 *
 * @returns the way to stop
 */
export function watchInterfaces (clock: Clock, onChange: (now: readonly InterfaceAddress[]) => void): () => void {
  const watch = watches.get(clock) ?? { listeners: new Set(), seen: keyOf(listInterfaces()), cancel: () => {} }
  watches.set(clock, watch)
  const listener = (now: readonly InterfaceAddress[]): void => { onChange(now) } // one that watches twice is two
  watch.listeners.add(listener)
  if (watch.listeners.size === 1) lookLater(clock, watch)
  return () => {
    watch.listeners.delete(listener)
    if (watch.listeners.size > 0 || watches.get(clock) !== watch) return
    watch.cancel()
    watches.delete(clock)
  }
}

function lookLater (clock: Clock, watch: Watch): void {
  watch.cancel = clock.after(LOOK_MS, () => {
    lookLater(clock, watch) // first, so that the last listener that stops also stops the look
    const now = listInterfaces()
    const seen = keyOf(now)
    if (seen === watch.seen) return
    watch.seen = seen
    for (const listener of [...watch.listeners]) listener(now)
  })
}

function keyOf (all: readonly InterfaceAddress[]): string {
  return all.map(({ name, address, bits }) => `${name} ${address}/${bits}`).sort().join('\n')
}
