import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ORIGIN_BYTES_MAX, NO_HASH, UPDATE_BYTES_MAX, checkUpdate, readRun, recordBytes, writeRun, type Run } from '../../crdt/run.ts'
import { RECORD_VERSION, hex } from '../../crdt/record.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'

const PLACE = Uint8Array.from({ length: 16 }, (_, index) => index)
const SEED = Number(process.env['SEED'] ?? 4127)

test('the bytes of a run stay as they are', () => {
  const { value, hash } = writeRun(PLACE, 2 ** 32 + 7, NO_HASH, [
    { origin: '', update: Uint8Array.of(1, 2) }, { origin: 'peer', update: Uint8Array.of(3) }, { origin: 'peer', update: new Uint8Array(0) }, { origin: '', update: Uint8Array.of(4) }
  ])
  assert.is(hex(value.subarray(0, -16)), [
    '01', '0000000100000007', '00000004', '00'.repeat(16),
    '00', '00000002', '0102', '04', '70656572', '00000001', '03', 'ff', '00000000', '00', '00000001', '04'
  ].join(''))
  assert.is(hex(hash), 'c3e3f3e38e7f70f93bebd1214cbb81b7')
  assert.equal(value.subarray(-16), hash)
})

test('any run reads back as it was written, and only in its own place', () => {
  const random = seededRandom(SEED)
  console.log(`\nseed ${SEED}`)
  for (let round = 0; round < 200; round++) {
    const records = Array.from({ length: 1 + Math.floor(random.next() * 20) }, () => ({
      origin: random.next() < 0.5 ? '' : 'é'.repeat(Math.floor(random.next() * 3)) + 'p'.repeat(Math.floor(random.next() * (ORIGIN_BYTES_MAX - 4))),
      update: random.bytes(Math.floor(random.next() * 100))
    }))
    const first = 1 + Math.floor(random.next() * 2 ** 40)
    const { value, hash } = writeRun(PLACE, first, NO_HASH, records)
    const run = readRun(PLACE, first, value) as Run
    assert.equal([run.first, run.sequence, run.hash, run.previous], [first, first + records.length - 1, hash, NO_HASH])
    assert.equal(run.records.map(({ origin, update }) => [origin, update]), records.map(({ origin, update }) => [origin, update]))
    assert.equal(run.records.map(({ sequence }) => sequence), records.map((_, index) => first + index))
    assert.is(readRun(PLACE, first + 1, value), 'format')
    assert.is(readRun(PLACE.toReversed(), first, value), 'checksum')
    const at = Math.floor(random.next() * value.byteLength)
    value[at] = (value[at] ?? 0) ^ 1 << Math.floor(random.next() * 8)
    assert.is(readRun(PLACE, first, value), 'checksum')
  }
})

test('a run cut anywhere does not pass', () => {
  const { value } = writeRun(PLACE, 1, NO_HASH, [{ origin: 'a', update: Uint8Array.of(1) }, { origin: 'b', update: Uint8Array.of(2, 3) }])
  for (let end = 0; end < value.byteLength; end++) assert.is(readRun(PLACE, 1, value.subarray(0, end)), 'checksum')
})

test('records take at most what is counted for them, and limits hold', () => {
  const records = [{ origin: 'a'.repeat(ORIGIN_BYTES_MAX), update: new Uint8Array(300) }, { origin: '', update: new Uint8Array(1) }]
  const bytes = records.reduce((sum, { origin, update }) => sum + recordBytes(update, origin), 0)
  assert.is(writeRun(PLACE, 1, NO_HASH, records).value.byteLength - writeRun(PLACE, 1, NO_HASH, [{ origin: '', update: new Uint8Array(0) }]).value.byteLength, bytes - 5)
  assert.throws(() => writeRun(PLACE, 1, NO_HASH, [{ origin: 'a'.repeat(ORIGIN_BYTES_MAX + 1), update: new Uint8Array(1) }]))
  assert.throws(() => { checkUpdate(new Uint8Array(UPDATE_BYTES_MAX + 1)) }, (error: unknown) => error instanceof SwarmError && error.code === 'TOO_LARGE')
  assert.is(RECORD_VERSION, 1)
})

test.run()
