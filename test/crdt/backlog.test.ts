import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, Backlog, QUEUE_BYTES_MAX, type Entry } from '../../crdt/backlog.ts'
import { SwarmError } from '../../lib/base/error.ts'

const told: string[] = []
const entry = (name: string, { bytes = 1, operations = 1, isDropped = false } = {}): Entry => ({
  bytes,
  operations,
  isDropped,
  seal: () => {
    told.push(`${name} sealed`)
    return { changes: [{ key: name, value: undefined }], head: { key: 'd', head: { sequence: name.length, hash: new Uint8Array(16) } } }
  },
  settled: failure => { told.push(`${name} ${failure === undefined ? 'safe' : 'failed'}`) }
})
const keys = (backlog: Backlog): string[] => backlog.take().changes.map(({ key }) => key)

test.before.each(() => { told.length = 0 })

test('an entry is sealed once, however often it is written anew, and acknowledged once', () => {
  const backlog = new Backlog()
  backlog.add(entry('a'), 0)
  assert.equal([keys(backlog), backlog.isWaiting, backlog.isWriting], [['a'], false, true])
  backlog.unwrote()
  assert.equal(keys(backlog), ['a'])
  backlog.wrote(true)
  backlog.again()
  keys(backlog)
  backlog.wrote(true)
  assert.is(backlog.secure().get('d')?.sequence, 1)
  backlog.unsecured()
  backlog.secure()
  backlog.secured()
  assert.equal(told, ['a sealed', 'a safe'])
  assert.equal([backlog.bytes, backlog.isWritten, backlog.isSecuring], [0, false, false])
})

test('what failed is written again before all that came later', () => {
  const backlog = new Backlog()
  for (const name of ['a', 'bb', 'ccc']) {
    backlog.add(entry(name, { bytes: BATCH_BYTES_MAX }), 0)
    if (name !== 'ccc') {
      keys(backlog)
      backlog.wrote(false)
    }
  }
  assert.is(backlog.writtenBytes, 2 * BATCH_BYTES_MAX)
  backlog.again()
  assert.equal([keys(backlog), backlog.writtenBytes], [['a'], 0])
  backlog.unwrote()
  assert.equal(keys(backlog), ['a'])
})

test('a failure tells all that is not in hand, and drops what is to be dropped', () => {
  const backlog = new Backlog()
  backlog.add(entry('a'), 0)
  keys(backlog)
  backlog.add(entry('bb', { isDropped: true }), 5)
  backlog.add(entry('ccc'), 0)
  backlog.fail(new SwarmError('DISK_FAILED', 'no'))
  assert.equal(told, ['a sealed', 'bb failed', 'ccc failed'])
  assert.is(backlog.bytes, 2)
  backlog.unwrote()
  assert.equal(keys(backlog), ['a', 'ccc'])
})

test('a batch is bounded in changes and bytes, but for one entry that is larger', () => {
  const backlog = new Backlog()
  for (const [name, size] of [
    ['a', { operations: BATCH_OPERATIONS_MAX - 1 }], ['b', { operations: 1 }], ['c', { operations: 1 }], ['d', { bytes: BATCH_BYTES_MAX }], ['e', { bytes: 3 * BATCH_BYTES_MAX }], ['f', {}]
  ] as const) backlog.add(entry(name, size), 0)
  const batches: string[][] = []
  while (backlog.isWaiting) {
    batches.push(keys(backlog))
    backlog.wrote(false)
  }
  assert.equal(batches, [['a', 'b'], ['c'], ['d'], ['e'], ['f']])
})

test('what waits is bounded, grown or added; one entry alone may be larger', () => {
  const backlog = new Backlog()
  const large = entry('a', { bytes: QUEUE_BYTES_MAX + 1 })
  backlog.add(large, 0)
  for (const act of [() => { backlog.add(entry('b'), 0) }, () => { backlog.grow(large, 1) }]) {
    assert.throws(act, (error: unknown) => error instanceof SwarmError && error.code === 'OVERLOADED')
  }
  assert.equal([backlog.bytes, large.bytes], [QUEUE_BYTES_MAX + 1, QUEUE_BYTES_MAX + 1])
})

test.run()
