/** What the test asks of a page's storage, beneath its peer. */
import type { Callback, Test } from 'uvu'
import { openStorage } from '../../../lib/storage/level.ts'
import { openDatabase, readText, writeText } from '../../../lib/identity/disk.browser.ts'
import { testStorage } from '../../storage/conformance.ts'

const checks = new Map<string, Callback>()
let count = 0
testStorage(((name: string, run: Callback) => { checks.set(name, run) }) as Test, 'IndexedDB', async () => await openStorage(`conformance-${++count}`))

const durabilities: string[] = []
let wake = (): void => undefined

export const storageActs: Readonly<Record<string, (what: never) => unknown>> = {
  checks: () => [...checks.keys()],
  check: async ({ name }: { name: string }) => { await checks.get(name)?.({} as never) },
  /** Notes from now on with which durability each writing transaction was begun. */
  noteDurability: () => {
    const begin = Reflect.get(IDBDatabase.prototype, 'transaction') as (this: IDBDatabase, ...args: unknown[]) => IDBTransaction
    IDBDatabase.prototype.transaction = function (...args: unknown[]) {
      const begun = begin.apply(this, args)
      if (begun.mode === 'readwrite') durabilities.push(begun.durability)
      wake()
      return begun
    }
  },
  /** Those so far, once there is one of that kind. */
  durabilities: async ({ kind }: { kind: string }) => {
    while (!durabilities.includes(kind)) await new Promise<void>(resolve => { wake = resolve })
    return durabilities.splice(0)
  },
  /** How long it takes to write so many entries of so many bytes, all at once, and to list them, in milliseconds. */
  figures: async ({ entries, bytes }: { entries: number, bytes: number }) => {
    const storage = await openStorage(`figures-${++count}`)
    const value = new Uint8Array(bytes).fill(7)
    const changes = Array.from({ length: entries }, (_, index) => ({ key: `a/${index}`, value }))
    const startedMs = performance.now()
    await storage.write(changes, { sync: true })
    const writtenMs = performance.now()
    let listed = 0
    for await (const entry of storage.entries('a/')) listed += entry[1].byteLength / bytes
    const listedMs = performance.now()
    await storage.close()
    return { writeMs: writtenMs - startedMs, listMs: listedMs - writtenMs, listed }
  },
  readText: async ({ path }: { path: string }) => await readText(path) ?? null,
  writeText: async ({ path, text }: { path: string, text: string }) => { await writeText(path, text) },
  /** As a later release would leave a folder's database. */
  age: async ({ folder }: { folder: string }) => {
    const { name, version } = await openDatabase(folder).then(database => {
      database.close()
      return database
    })
    await new Promise<void>((resolve, reject) => {
      const opening = indexedDB.open(name, version + 1)
      opening.onerror = () => { reject(opening.error ?? new Error('it does not open')) }
      opening.onsuccess = () => {
        opening.result.close()
        resolve()
      }
    })
  }
}
