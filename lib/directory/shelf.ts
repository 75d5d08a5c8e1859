/**
 * Signed records that were read in this process: each is verified and held once, however many peers of the process hear it. A
 * record is kept here for no longer than one of them holds it.
 */
import { markOf } from './digest.ts'
import { readRecord, type PeerRecord } from './record.ts'

export interface Signed {
  readonly record: PeerRecord
  readonly wire: string
}

const shelf = new Map<string, WeakRef<PeerRecord>>()
const wires = new WeakMap<PeerRecord, string>()
const emptied = new FinalizationRegistry<string>(key => {
  if (shelf.get(key)?.deref() === undefined) shelf.delete(key)
})

/** As `readRecord`. @throws SwarmError RECORD_INVALID */
export function readSigned (wire: string, swarmId: string): Signed {
  const key = swarmId + markOf(wire)
  const known = shelf.get(key)?.deref()
  if (known !== undefined && wires.get(known) === wire) return { record: known, wire: wires.get(known) as string }
  const record = readRecord(wire, swarmId)
  return shelve({ record, wire }, key)
}

/** Lets other peers of this process find a record that is known to be good. */
export function putSigned (signed: Signed, swarmId: string): void {
  shelve(signed, swarmId + markOf(signed.wire))
}

function shelve (signed: Signed, key: string): Signed {
  wires.set(signed.record, signed.wire)
  shelf.set(key, new WeakRef(signed.record))
  emptied.register(signed.record, key)
  return signed
}
