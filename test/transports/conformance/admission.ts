import * as assert from 'uvu/assert'
import { within } from '../../support/within.ts'
import { sendText } from '../reading.ts'
import { fails, never, serving } from './arena.ts'
import type { Arena, Suite } from './arena.ts'

/** What a stranger gets. */
export function admission (test: Suite, arena: Arena): void {
  const { pair } = arena

  test('answers a stranger only what is open to strangers', async () => {
    const { a, b, toB, toA } = await pair(false)
    const hello = serving(b, '/hello', true)
    const secret = serving(b, '/secret')
    a.handle('/secret', () => {})
    await fails('UNREACHABLE', /refused/, toB.open('/secret', never()))
    await fails('UNREACHABLE', /refused/, toA.open('/secret', never()))
    await fails('UNREACHABLE', /refused/, toB.probe(never()))
    sendText(await within(5_000, 'hello', toB.open('/hello', never())), 'hi')
    assert.is((await within(5_000, 'hello', hello)).protocol, '/hello')
    assert.not(toA.admitted)
    toA.admit()
    toA.admit()
    assert.ok(toA.admitted)
    sendText(await within(5_000, 'secret', toB.open('/secret', never())), 'now')
    assert.is((await within(5_000, 'secret', secret)).protocol, '/secret')
    await fails('UNREACHABLE', /refused/, toA.open('/secret', never())) // we have not admitted them
  })

  test('measures a round trip on that connection', async () => {
    const { toB, toA } = await pair()
    for (const connection of [toB, toA]) {
      const tookMs = await within(5_000, 'probe', connection.probe(never()))
      assert.ok(tookMs >= 0 && tookMs < 1_000, `${tookMs} ms`)
    }
    await within(5_000, 'ten at once', Promise.all(Array.from({ length: 10 }, async () => await toB.probe(never()))))
    await fails('ABORTED', /given up/, toB.probe(AbortSignal.abort()))
  })
}
