/** A data folder as a peer has it, and whether what is in it is what it should be. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as Y from 'yjs'
import { openWitness } from '#witness'
import { Committer } from '../../../crdt/committer.ts'
import { documentKey } from '../../../crdt/name.ts'
import { Wal, type Opened } from '../../../crdt/wal.ts'
import { systemClock } from '../../../lib/base/clock.ts'
import { SwarmError } from '../../../lib/base/error.ts'
import { openReopening } from '../../../lib/storage/reopen.ts'

export const DOCUMENTS = ['first', 'second', 'third']
export const KEYS = 200

/** Sequences that were acknowledged, by document. */
export type Acknowledged = ReadonlyMap<string, number>

export async function openFolder (folder: string): Promise<{ opened: readonly Opened[], close: () => Promise<void> }> {
  const storage = await openReopening(folder)
  try {
    const witness = await openWitness(folder)
    const committer = new Committer({ storage, witness, clock: systemClock, durability: 'strict' })
    const opened: Opened[] = []
    for (const name of DOCUMENTS) opened.push(await Wal.open(documentKey(name), { committer, name }))
    return {
      opened,
      close: async () => {
        await committer.close()
        await witness?.close()
        await storage.close()
      }
    }
  } catch (error) {
    await storage.close()
    throw error
  }
}

export function documentOf ({ snapshot, updates }: Opened): Y.Doc {
  const document = new Y.Doc()
  document.transact(() => {
    if (snapshot !== undefined) Y.applyUpdate(document, snapshot)
    for (const { update } of updates) Y.applyUpdate(document, update)
  })
  return document
}

/** Reads what a writer has said. */
export function readAcknowledged (output: string): Acknowledged {
  const found = new Map<string, number>()
  for (const line of output.split('\n').slice(0, -1)) {
    const [name = '', sequence] = line.split(' ')
    found.set(name, Number(sequence))
  }
  return found
}

/** `whole`: all that was acknowledged is there, exactly. `told`: it is not, and opening says so. Anything else is a failure, in words. */
export type Verdict = { readonly kind: 'whole' | 'told', readonly how: string } | { readonly kind: 'failed', readonly how: string }

export async function judgeFolder (folder: string, acknowledged: Acknowledged): Promise<Verdict> {
  let found: Awaited<ReturnType<typeof openFolder>>
  try {
    found = await openFolder(folder)
  } catch (error) {
    return error instanceof SwarmError ? { kind: 'told', how: error.code } : { kind: 'failed', how: String(error) }
  }
  try {
    const told = found.opened.flatMap(({ recovery }) => recovery.damage.map(({ kind }) => kind))
    if (told.length > 0) return { kind: 'told', how: [...new Set(told)].sort().join(' ') }
    for (const [index, opened] of found.opened.entries()) {
      const name = DOCUMENTS[index] as string
      const wrong = wrongIn(opened, acknowledged.get(name) ?? 0)
      if (wrong !== undefined) return { kind: 'failed', how: `${name}: ${wrong}` }
    }
    return { kind: 'whole', how: 'whole' }
  } finally {
    await found.close()
  }
}

function wrongIn (opened: Opened, acknowledged: number): string | undefined {
  const { sequence } = opened.wal.status()
  if (sequence < acknowledged) return `${sequence} of ${acknowledged} acknowledged records, and nobody says so`
  const map = documentOf(opened).getMap('m')
  for (let number = Math.max(1, sequence - KEYS + 1); number <= sequence; number++) {
    if (map.get(`k${number % KEYS}`) !== number) return `edit ${number} of ${sequence} is not there: ${String(map.get(`k${number % KEYS}`))}`
  }
  return undefined
}

/** The control: whether the bare file has all that was acknowledged. */
export function judgeBare (folder: string, acknowledged: Acknowledged): Verdict {
  const expected = acknowledged.get('bare') ?? 0
  const path = join(folder, 'bare')
  const bytes = existsSync(path) ? readFileSync(path).byteLength : 0
  return bytes >= 8 * expected ? { kind: 'whole', how: 'whole' } : { kind: 'failed', how: `${bytes / 8} of ${expected} acknowledged` }
}
