/** What is found damaged is kept, under keys of its own, until all of it has come back from other peers. */
import type { Change } from '../lib/base/storage.ts'
import type { Committer } from './committer.ts'
import { noteChange } from './damage.ts'
import { quarantineKey, type Place } from './place.ts'
import type { Found } from './recover.ts'

/** Keys deleted in one write. */
const DELETED_AT_ONCE = 100

/** Cuts what is torn, and puts what is damaged under keys of its own, with a note. */
export async function putAside (committer: Committer, place: Place, { cut, quarantine, damage, isNew }: Found): Promise<void> {
  if (cut.length > 0) await committer.put(deletions(cut))
  for (const key of quarantine) {
    const value = await committer.storage.get(key)
    if (value !== undefined) await committer.put([{ key: quarantineKey(place, key), value }, { key, value: undefined }])
  }
  if (isNew) await committer.put([noteChange(place, damage)])
}

/** Forgets what was put aside, and at last the note of it. */
export async function clearAside (committer: Committer, place: Place): Promise<void> {
  const keys: string[] = []
  for await (const [key] of committer.storage.entries(place.quarantine)) keys.push(key)
  for (let index = 0; index < keys.length; index += DELETED_AT_ONCE) await committer.put(deletions(keys.slice(index, index + DELETED_AT_ONCE)))
  await committer.put(deletions([place.damage]))
}

export function deletions (keys: readonly string[]): Change[] {
  return keys.map(key => ({ key, value: undefined }))
}
