import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'

const draws = (seed: number): number[] => {
  const random = seededRandom(seed)
  return Array.from({ length: 20 }, () => random.next())
}

test('a seed replays its draws; other seeds draw others', () => {
  assert.equal(draws(7), draws(7))
  assert.not.equal(draws(7), draws(8))
  assert.equal(draws(-1), draws(2 ** 32 - 1), 'only the low 32 bits count')
  assert.equal(seededRandom(7).bytes(16), seededRandom(7).bytes(16))
})

for (const [name, random] of [['the real one', systemRandom], ['a seeded one', seededRandom(1)]] as const) {
  test(`${name} draws evenly from [0, 1)`, () => {
    const counts = new Array<number>(10).fill(0)
    for (let draw = 0; draw < 10_000; draw++) {
      const next = random.next()
      assert.ok(next >= 0 && next < 1)
      const tenth = Math.floor(next * 10)
      counts[tenth] = (counts[tenth] ?? 0) + 1
    }
    // 1,000 expected with a deviation of 30: eight deviations do not happen by chance.
    for (const count of counts) assert.ok(Math.abs(count - 1_000) < 240, `uneven: ${counts.join(' ')}`)
  })

  test(`${name} gives the bytes asked for, all values among them`, () => {
    const bytes = random.bytes(8_192)
    assert.is(bytes.byteLength, 8_192)
    assert.is(new Set(bytes).size, 256)
  })
}

test.run()
