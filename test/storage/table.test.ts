import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import { crc32c, maskedCrc32c } from '../../lib/storage/crc32c.ts'
import { unpackSnappy } from '../../lib/storage/snappy.ts'
import { isWholeManifest, isWholeTable } from '../../lib/storage/table.ts'

const SEED = Number(process.env['SEED'] ?? 4127)
const root = mkdtempSync(join(tmpdir(), 'swarm-table-'))
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)

/** What LevelDB writes. */
async function files (name: string, compression: boolean): Promise<{ tables: Buffer[], manifest: Buffer }> {
  const folder = join(root, name)
  const random = seededRandom(SEED)
  const level = new Level<string, Uint8Array>(folder, { valueEncoding: 'view', compression })
  for (let part = 0; part < 20; part++) {
    await level.batch(Array.from({ length: 100 }, (_, index) => ({ type: 'put', key: `key/${'same '.repeat(20)}/${part}/${index}`, value: part % 2 === 0 ? random.bytes(200) : new Uint8Array(300) })))
  }
  // The package's types are those of all platforms.
  await (level as unknown as { compactRange (from: string, to: string): Promise<void> }).compactRange('a', 'z')
  await level.close()
  const named = (pattern: RegExp): Buffer[] => readdirSync(folder).filter(name => pattern.test(name)).map(name => readFileSync(join(folder, name)))
  return { tables: named(/\.ldb$/), manifest: named(/^MANIFEST/)[0] as Buffer }
}

test('checksums are those of RFC 3720, B.4', () => {
  for (const [bytes, expected] of [
    [new Uint8Array(32), 0x8a9136aa], [new Uint8Array(32).fill(255), 0x62a8ab43], [Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd794e], [ascii('123456789'), 0xe3069283], [ascii(''), 0]
  ] as const) assert.is(crc32c(bytes), expected)
  assert.is(maskedCrc32c(ascii('123456789')), ((0xe3069283 >>> 15 | 0xe3069283 << 17) + 0xa282ead8) >>> 0)
})

for (const compression of [true, false]) {
  test(`a table is whole ${compression ? 'packed' : 'as it is'}, and no longer after any flip, cut or zeros`, async () => {
    const { tables, manifest } = await files(`${compression}`, compression)
    assert.ok(tables.length > 0 && tables.every(isWholeTable), 'tables')
    assert.ok(isWholeManifest(manifest), 'manifest')
    const [table] = tables as [Buffer]
    const random = seededRandom(SEED)
    console.log(`\nseed ${SEED}`)
    const padding = [table.byteLength - 48 + 12, table.byteLength - 8] as const
    for (let round = 0; round < 300; round++) {
      // The last ones in the index and the footer, where little is.
      const at = round < 150 ? Math.floor(random.next() * table.byteLength) : table.byteLength - 1 - Math.floor(random.next() * 2_000)
      if (at >= padding[0] && at < padding[1]) continue
      const spoiled = Buffer.from(table)
      spoiled[at] = (spoiled[at] ?? 0) ^ 1 << Math.floor(random.next() * 8)
      assert.not(isWholeTable(spoiled), `flip at ${at}`)
      assert.not(isWholeTable(table.subarray(0, at)), `cut at ${at}`)
    }
    assert.not(isWholeTable(Buffer.from(table).fill(0, 0, 512)))
    assert.not(isWholeTable(new Uint8Array(table.byteLength)))
  })
}

test('a manifest is whole up to a torn end, and no longer after a flip or zeros', async () => {
  const { manifest } = await files('manifest', false)
  let taken = 0
  for (let at = 0; at < manifest.byteLength; at++) {
    const spoiled = Buffer.from(manifest)
    spoiled[at] = (spoiled[at] ?? 0) ^ 64
    if (isWholeManifest(spoiled)) taken++
    assert.ok(at === 0 || isWholeManifest(manifest.subarray(0, at)), `cut at ${at}`)
  }
  // A piece whose length goes beyond the end looks as one torn there, to LevelDB too.
  const pieces = manifest.byteLength / 20
  assert.ok(taken <= 2 * pieces && taken < manifest.byteLength / 4, `${taken} flips of ${manifest.byteLength} taken`)
  assert.not(isWholeManifest(new Uint8Array(0)))
  assert.not(isWholeManifest(new Uint8Array(100)))
})

for (const [what, packed, expected] of [
  ['a literal', [5, 4 << 2, ...ascii('hello')], 'hello'],
  ['a long literal', [61, 60 << 2, 60, ...ascii('x'.repeat(61))], 'x'.repeat(61)],
  ['a copy that reaches into itself', [8, 1 << 2, ...ascii('ab'), 2 << 2 | 1, 2], 'abababab'],
  ['a copy of two bytes of offset', [8, 3 << 2, ...ascii('abcd'), 3 << 2 | 2, 4, 0], 'abcdabcd'],
  ['a copy of four bytes of offset', [8, 3 << 2, ...ascii('abcd'), 3 << 2 | 3, 4, 0, 0, 0], 'abcdabcd'],
  ['nothing', [0], ''],
  ['a copy from before the beginning', [8, 1 << 2, ...ascii('ab'), 2 << 2 | 1, 3], undefined],
  ['a copy of itself', [8, 1 << 2, ...ascii('ab'), 2 << 2 | 1, 0], undefined],
  ['more than it says', [4, 4 << 2, ...ascii('hello')], undefined],
  ['less than it says', [6, 4 << 2, ...ascii('hello')], undefined],
  ['a literal cut short', [5, 4 << 2, ...ascii('hell')], undefined],
  ['a length cut short', [255], undefined],
  ['a length without end', [255, 255, 255, 255, 255, 255], undefined],
  ['an offset cut short', [8, 3 << 2, ...ascii('abcd'), 3 << 2 | 2, 4], undefined],
  ['more than the limit', [129, 128, 128, 8, 0], undefined]
] as const) {
  test(`unpacks ${what}`, () => {
    assert.equal(unpackSnappy(Uint8Array.from(packed)), expected === undefined ? undefined : ascii(expected))
  })
}

test.after(() => { rmSync(root, { recursive: true, force: true }) })
test.run()
