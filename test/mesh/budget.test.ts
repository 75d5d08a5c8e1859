import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import { Budget } from '../../lib/mesh/budget.ts'

test('a burst at once, then one at a time, and the wait it names is enough', () => {
  const budget = new Budget({ burst: 3, perSecond: 2, nowMs: 0 })
  assert.equal([0, 1, 2, 3].map(() => budget.take(0)), [0, 0, 0, 500])
  assert.is(budget.take(250), 250)
  assert.is(budget.take(500), 0)
  assert.ok(budget.take(500) > 0)
})

test('it never gives more than its burst and what has come in since, whoever asks how often', () => {
  const seed = Date.now()
  console.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const budget = new Budget({ burst: 10, perSecond: 5, nowMs: 0 })
  let [nowMs, taken] = [0, 0]
  while (nowMs < 60_000) {
    nowMs += random.next() * 100
    for (let ask = 0; ask < 20; ask++) if (budget.take(nowMs) === 0) taken++
    assert.ok(taken <= 10 + 5 * nowMs / 1_000, `${taken} after ${nowMs} ms`)
  }
  assert.ok(taken >= 5 * 59, `only ${taken}`)
})

test.run()
