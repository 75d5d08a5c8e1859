/** What every Storage does, whatever lies beneath. */
import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import type { Change, Storage } from '../../lib/base/storage.ts'
import { KEY_CHARS_MAX } from '../../lib/storage/level.ts'

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const put = (key: string, ...values: number[]): Change => ({ key, value: bytes(...values) })

export async function all (storage: Storage, prefix: string): Promise<[string, number[]][]> {
  const found: [string, number[]][] = []
  for await (const [key, value] of storage.entries(prefix)) found.push([key, [...value]])
  return found
}

/** @param open a new, empty storage */
export function testStorage (test: Test, name: string, open: () => Promise<Storage>): void {
  const check = (behaviour: string, act: (storage: Storage) => Promise<void>): void => {
    test(`${name}: ${behaviour}`, async () => {
      const storage = await open()
      try {
        await act(storage)
      } finally {
        await storage.close()
      }
    })
  }

  check('a new one is empty', async storage => {
    assert.is(await storage.get('a'), undefined)
    assert.equal(await all(storage, 'a/'), [])
  })

  check('gives back what was written, until it is deleted', async storage => {
    await storage.write([put('a', 1, 2), put('b')])
    assert.equal([await storage.get('a'), await storage.get('b')], [bytes(1, 2), bytes()])
    await storage.write([put('a', 3), { key: 'b', value: undefined }, { key: 'never', value: undefined }], { sync: true })
    assert.equal([await storage.get('a'), await storage.get('b')], [bytes(3), undefined])
  })

  check('of two changes to one key the later counts', async storage => {
    await storage.write([put('a', 1), { key: 'a', value: undefined }, put('a', 2), put('b', 1), { key: 'b', value: undefined }])
    assert.equal([await storage.get('a'), await storage.get('b')], [bytes(2), undefined])
  })

  check('takes no changes at all', async storage => {
    await storage.write([])
    await storage.write([], { sync: true })
  })

  check('values are plain bytes and the caller\'s to keep, coming and going', async storage => {
    const value = bytes(1, 2, 3)
    const written = storage.write([{ key: 'a/1', value }])
    value.fill(9)
    await written
    const got = await storage.get('a/1') as Uint8Array
    assert.is(Object.getPrototypeOf(got), Uint8Array.prototype)
    got.fill(9)
    for await (const [, entry] of storage.entries('a/')) {
      assert.is(Object.getPrototypeOf(entry), Uint8Array.prototype)
      entry.fill(9)
    }
    assert.equal(await storage.get('a/1'), bytes(1, 2, 3))
  })

  check('a value is taken from a view on a larger buffer', async storage => {
    await storage.write([{ key: 'a', value: bytes(0, 1, 2, 3).subarray(1, 3) }])
    assert.equal(await storage.get('a'), bytes(1, 2))
  })

  check('keeps every byte, and a large value', async storage => {
    const large = seededRandom(1).bytes(3 * 2 ** 20)
    await storage.write([{ key: 'every', value: Uint8Array.from({ length: 256 }, (_, index) => index) }, { key: 'large', value: large }])
    assert.equal([...await storage.get('every') as Uint8Array], Array.from({ length: 256 }, (_, index) => index))
    assert.ok((await storage.get('large'))?.every((byte, index) => byte === large[index]))
  })

  check('lists what a prefix begins, in the order of keys, and nothing else', async storage => {
    await storage.write([put('b/10', 1), put('b/2', 2), put('b/', 3), put('b', 4), put('b0', 5), put('b.', 6), put('ab/1', 7), put('b/~', 8), put('b/a/x', 9), put('c/1', 10), put('B/1', 11)])
    assert.equal(await all(storage, 'b/'), [['b/', [3]], ['b/10', [1]], ['b/2', [2]], ['b/a/x', [9]], ['b/~', [8]]])
    assert.equal(await all(storage, 'b/a/'), [['b/a/x', [9]]])
    assert.equal(await all(storage, 'd/'), [])
  })

  check('a listing shows the moment it began', async storage => {
    await storage.write([put('a/1', 1), put('a/2', 2), put('a/3', 3)])
    const seen: string[] = []
    for await (const [key] of storage.entries('a/')) {
      seen.push(key)
      await storage.write([{ key: 'a/3', value: undefined }, put('a/2x', 1)])
    }
    assert.equal(seen, ['a/1', 'a/2', 'a/3'])
  })

  check('a listing can be left early, and the storage closed after it', async storage => {
    await storage.write(Array.from({ length: 5000 }, (_, index) => put(`a/${index}`, 1)))
    for await (const entry of storage.entries('a/')) {
      assert.is(entry[0], 'a/0')
      break
    }
  })

  check('agrees with a plain map over a random history', async storage => {
    const seed = Number(process.env['SEED'] ?? 20263)
    console.log(`storage: SEED=${seed}`)
    const random = seededRandom(seed)
    const model = new Map<string, number[]>()
    for (let round = 0; round < 200; round++) {
      const changes = Array.from({ length: Math.floor(random.next() * 8) }, (): Change => {
        const key = `${'abc'[Math.floor(random.next() * 3)]}/${Math.floor(random.next() * 20)}`
        return { key, value: random.next() < 0.3 ? undefined : random.bytes(Math.floor(random.next() * 9)) }
      })
      await storage.write(changes, { sync: random.next() < 0.05 })
      for (const { key, value } of changes) {
        if (value === undefined) model.delete(key)
        else model.set(key, [...value])
      }
    }
    for (const prefix of ['a/', 'b/', 'c/']) {
      assert.equal(await all(storage, prefix), [...model].filter(([key]) => key.startsWith(prefix)).sort(([left], [right]) => left < right ? -1 : 1))
    }
  })

  check('a key that is none is a bug, and nothing of its write is done', async storage => {
    for (const key of ['', 'ä', 'a\n', '\u0000version', 'k'.repeat(KEY_CHARS_MAX + 1)]) {
      await fails(async () => { await storage.write([put('good', 1), put(key, 1)]) }, /^bug: .* is no key/s)
      await fails(async () => await storage.get(key), /^bug: .* is no key/s)
    }
    assert.is(await storage.get('good'), undefined)
    await storage.write([put('k'.repeat(KEY_CHARS_MAX), 1)])
    assert.equal(await storage.get('k'.repeat(KEY_CHARS_MAX)), bytes(1))
    await fails(async () => await all(storage, 'a'), /^bug: a prefix ends in a slash/)
  })

  test(`${name}: closing waits for every earlier write, and is done once`, async () => {
    const storage = await open()
    const writes = Array.from({ length: 50 }, (_, index) => storage.write([put(`a/${index}`, index)]))
    await Promise.all([storage.close(), storage.close()])
    await storage.close()
    await Promise.all(writes)
  })

  test(`${name}: after the close everything says CLOSED`, async () => {
    const storage = await open()
    await storage.write([put('a/1', 1), put('a/2', 2)])
    const listing = storage.entries('a/')[Symbol.asyncIterator]()
    await listing.next()
    await storage.close()
    for (const use of [async () => await storage.get('a'), async () => { await storage.write([put('a', 1)]) }, async () => await all(storage, 'a/')]) {
      await fails(use, /closed/, 'CLOSED')
    }
    await listing.next().then(({ done, value }) => { assert.ok(done === true || value !== undefined) }, (error: unknown) => { assert.is((error as SwarmError).code, 'CLOSED') })
  })
}

async function fails (act: () => Promise<unknown>, message: RegExp, code?: string): Promise<void> {
  try {
    await act()
  } catch (error) {
    assert.match((error as Error).message, message)
    assert.is(error instanceof SwarmError ? error.code : undefined, code)
    return
  }
  assert.unreachable(`no failure with ${message}`)
}
