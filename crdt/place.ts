/**
 * Where a document lies in the storage, below `crdt/<its key>/`:
 *
 *     log/<first sequence>    a run of records: see run.ts
 *     base                    which snapshot counts: see snapshot.ts
 *     chunk/<snapshot>/<n>    a part of a snapshot
 *     damage                  what was found damaged and not repaired yet: see recover.ts
 *     quarantine/…            what was found damaged, as it was found
 *
 * and its name under `crdt-name/<its key>`.
 */
import { textOf, utf8 } from '../lib/base/bytes.ts'
import type { Change, Storage } from '../lib/base/storage.ts'
import { openValue, sealValue, sequenceOf, sequenceText } from './record.ts'

const NAMES = 'crdt-name/'

export interface Place {
  /** The document's key. */
  readonly key: string
  /** The same as bytes: what a run's hash covers first. */
  readonly bytes: Uint8Array
  readonly root: string
  readonly log: string
  readonly base: string
  readonly chunks: string
  readonly damage: string
  readonly quarantine: string
}

/** @param key 32 hexadecimal digits: see `documentKey` */
export function placeOf (key: string): Place {
  const root = `crdt/${key}/`
  return {
    key,
    bytes: Uint8Array.from({ length: key.length / 2 }, (_, index) => parseInt(key.slice(2 * index, 2 * index + 2), 16)),
    root,
    log: `${root}log/`,
    base: `${root}base`,
    chunks: `${root}chunk/`,
    damage: `${root}damage`,
    quarantine: `${root}quarantine/`
  }
}

export function runKey (place: Place, first: number): string {
  return place.log + sequenceText(first)
}

/** The first sequence in a run's key, or undefined for a key that is none of ours. */
export function runFirst (place: Place, key: string): number | undefined {
  return sequenceOf(key.slice(place.log.length))
}

/** Where something found damaged is put aside, under what remains of its own key. */
export function quarantineKey (place: Place, key: string): string {
  return place.quarantine + key.slice(place.root.length)
}

export function nameChange (place: Place, name: string): Change {
  const key = NAMES + place.key
  return { key, value: sealValue(key, utf8(name)) }
}

/** Whether a document's name is kept beside it, and can be read. */
export async function isNamed (storage: Storage, place: Place): Promise<boolean> {
  const key = NAMES + place.key
  const value = await storage.get(key)
  return value !== undefined && openValue(key, value) !== undefined
}

/** The documents in a storage, by key; one whose name is damaged has none. */
export async function listDocuments (storage: Storage): Promise<{ readonly key: string, readonly name: string | undefined }[]> {
  const found: { key: string, name: string | undefined }[] = []
  for await (const [key, value] of storage.entries(NAMES)) {
    const name = openValue(key, value)
    found.push({ key: key.slice(NAMES.length), name: name === undefined ? undefined : textOf(name) })
  }
  return found
}
