import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../../lib/base/random.ts'
import { REST_MS, Talk, isListed } from '../../../transports/mdns/talk.ts'
import { VirtualClock } from '../../support/clock.ts'

function talking (seed = 1): { clock: VirtualClock, talk: Talk, said: string[] } {
  const clock = new VirtualClock()
  const said: string[] = []
  const say = (what: string) => (): void => { said.push(`${what} ${Math.floor(clock.nowMs() / 1_000)}`) }
  return { clock, said, talk: new Talk({ clock, random: seededRandom(seed), ask: say('ask'), announce: say('say') }) }
}

test('at the start it asks and announces a few times, then rests', async () => {
  const { clock, talk, said } = talking()
  talk.begin()
  assert.equal(said, ['say 0'])
  await clock.advance(60_000)
  assert.equal([...said].sort(), ['ask 0', 'ask 1', 'ask 27', 'ask 3', 'ask 9', 'say 0', 'say 1', 'say 3'])
  said.length = 0
  await clock.advance(4 * REST_MS)
  assert.ok(said.length >= 3 && said.length <= 7 && said.every(each => each.startsWith('ask')), said.join())
  talk.stop()
  assert.is(clock.pending, 0)
})

test('while others ask, it asks less', async () => {
  const { clock, talk, said } = talking()
  talk.begin()
  await clock.advance(60_000)
  said.length = 0
  for (let minute = 0; minute < 60; minute++) {
    await clock.advance(60_000)
    talk.asked({ isKnown: true, asksForUs: true })
  }
  assert.equal(said, [])
  await clock.advance(REST_MS)
  assert.is(said.length, 1)
  talk.stop()
})

test('a question of another is as good as its own, if it knows nothing more', async () => {
  for (const asksForUs of [true, false]) {
    const { clock, talk, said } = talking()
    talk.begin()
    for (let second = 0; second < 30; second++) {
      await clock.advance(980)
      talk.asked({ isKnown: true, asksForUs })
      await clock.advance(20)
    }
    assert.is(said.filter(each => each.startsWith('ask')).length, asksForUs ? 1 : 5, said.join())
    talk.stop()
  }
})

test('who does not know us is answered after a moment, once for all who ask, and at most once a second', async () => {
  const { clock, talk, said } = talking()
  talk.asked({ isKnown: true, asksForUs: false })
  await clock.advance(200)
  assert.equal(said, [])
  for (let each = 0; each < 100; each++) talk.asked({ isKnown: false, asksForUs: false })
  await clock.advance(19)
  assert.equal(said, [])
  await clock.advance(101)
  assert.equal(said, ['say 0'])
  for (let tenth = 0; tenth < 100; tenth++) {
    talk.asked({ isKnown: false, asksForUs: false })
    await clock.advance(100)
  }
  assert.ok(said.length >= 9 && said.length <= 11, said.join())
  talk.stop()
})

test('a list of known labels spares the answer, unless it is about to be forgotten there', () => {
  assert.equal([isListed([{ label: 'a', ttlS: 60 }], 'a', 120), isListed([{ label: 'a', ttlS: 59 }], 'a', 120), isListed([], 'a', 120), isListed([], undefined, 120)], [true, false, false, true])
})

test.run()
