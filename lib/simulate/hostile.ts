/** Updates as somebody might send them who wants to do harm: cut and changed ones, and ones that need what nobody has. */
import { Writer } from '../../crdt/cursor.ts'
import type { Random } from '../base/random.ts'

/** An update with one to three of its bytes changed, moved, lost or doubled, or with its end missing. */
export function mutate (update: Uint8Array, random: Random): Uint8Array {
  const bytes = [...update]
  const at = (): number => Math.floor(random.next() * bytes.length)
  for (let left = 1 + Math.floor(random.next() * 3); left > 0; left--) {
    const place = at()
    switch (Math.floor(random.next() * 6)) {
      case 0: bytes[place] = Math.floor(random.next() * 256); break
      case 1: bytes[place] = (bytes[place] ?? 0) ^ (1 << Math.floor(random.next() * 8)); break
      case 2: bytes.splice(place, 1); break
      case 3: bytes.splice(place, 0, Math.floor(random.next() * 256)); break
      case 4: bytes.length = Math.max(1, place); break
      default: bytes[at()] = bytes[place] ?? 0
    }
  }
  return Uint8Array.from(bytes)
}

/** An update that writes some letters far ahead of all that its client wrote: Yjs would keep it, and try it with every other one. */
export function forgeGap (client: number, clock: number, letters: number): Uint8Array {
  return new Writer().count(1).count(1).count(client).count(clock).byte(4).count(1).text('text').text('x'.repeat(letters)).count(0).bytes()
}

/**
 * An update of as many clients, each with one clock that needs the next client's: a circle, so that nothing of it can ever be applied.
 * As dense as an update can be, at 13 bytes a client.
 */
export function forgeCircle (clients: number): Uint8Array {
  const writer = new Writer().count(clients)
  const first = 2 ** 31
  for (let client = clients - 1; client >= 0; client--) {
    // One deleted clock behind clock 0 of the next.
    writer.count(1).count(first + client).count(0).byte(0x81).count(first + (client + 1) % clients).count(0).count(1)
  }
  return writer.count(0).bytes()
}
