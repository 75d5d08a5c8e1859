import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import type { Random } from '../../lib/base/random.ts'
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, Backoff, LASTED_MS_MIN } from '../../lib/mesh/backoff.ts'

const highest: Random = { next: () => 1 - Number.EPSILON, bytes: count => new Uint8Array(count) }

test('the first attempt is immediate, then the ceiling doubles up to its limit', () => {
  const backoff = new Backoff(highest)
  const waits = Array.from({ length: 10 }, () => Math.round(backoff.nextMs()))
  assert.equal(waits, [0, 50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
})

for (const [name, lastedMs, next] of [
  ['that lasted starts again at once', LASTED_MS_MIN + 1, 0],
  ['that did not last counts as a failure', LASTED_MS_MIN, 100]
] as const) {
  test(`a connection ${name}`, () => {
    const backoff = new Backoff(highest)
    backoff.nextMs()
    backoff.nextMs()
    backoff.connected(1_000)
    backoff.disconnected(1_000 + lastedMs)
    assert.is(Math.round(backoff.nextMs()), next)
  })
}

test('every wait keeps its bounds, whatever happens', () => {
  fc.assert(fc.property(fc.integer(), fc.array(fc.record({ does: fc.constantFrom('next', 'connected', 'disconnected'), passMs: fc.nat(10_000) }), { maxLength: 200 }), (seed, steps) => {
    const backoff = new Backoff(seededRandom(seed))
    let [nowMs, attempts] = [0, 0]
    for (const { does, passMs } of steps) {
      nowMs += passMs
      if (does === 'connected') backoff.connected(nowMs)
      else if (does === 'disconnected') {
        backoff.disconnected(nowMs)
        attempts = backoff.attempts
      } else {
        const waitMs = backoff.nextMs()
        assert.ok(waitMs >= 0 && waitMs <= (attempts === 0 ? 0 : Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (attempts - 1))))
        assert.is(backoff.attempts, ++attempts)
      }
    }
  }))
})

test('peers cut off by one event do not come back in step', () => {
  const waits = Array.from({ length: 100 }, (_, seed) => {
    const backoff = new Backoff(seededRandom(seed))
    for (let attempt = 0; attempt < 9; attempt++) backoff.nextMs()
    return backoff.nextMs()
  })
  for (let quarter = 0; quarter < 4; quarter++) {
    const share = waits.filter(waitMs => Math.floor(waitMs / (BACKOFF_MS_MAX / 4)) === quarter).length
    assert.ok(share >= 10 && share <= 40, `${share} of 100 waits fall into quarter ${quarter}`)
  }
})

test.run()
