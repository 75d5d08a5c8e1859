import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Stop } from '../../lib/mcp/stop.ts'

test('only the first abort counts, and every listener hears it once', () => {
  const stop = new Stop()
  const heard: unknown[] = []
  stop.onAbort(reason => { heard.push(reason) })
  stop.onAbort(reason => { heard.push(reason) })
  stop.onAbort(() => { heard.push('taken back') })()
  stop.abort('first')
  stop.abort('second')
  assert.equal(heard, ['first', 'first'])
  stop.onAbort(reason => { heard.push(`late ${String(reason)}`) })
  assert.is(heard.at(-1), 'late first')
  assert.equal([stop.isAborted, stop.reason], [true, 'first'])
})

for (const [name, early] of [['before', true], ['after', false]] as const) {
  test(`a signal asked for ${name} the abort fires with its reason`, () => {
    const stop = new Stop()
    if (early) assert.is(stop.signal.aborted, false)
    stop.abort(new Error('why'))
    assert.is(stop.signal.aborted, true)
    assert.is((stop.signal.reason as Error).message, 'why')
    assert.is(stop.signal, stop.signal)
  })
}

test('follows a signal until it lets go', () => {
  const controller = new AbortController()
  const [followed, free] = [Stop.of(controller.signal), Stop.of(controller.signal)]
  free.letGo()
  controller.abort('why')
  assert.equal([followed.stop.isAborted, followed.stop.reason, free.stop.isAborted], [true, 'why', false])
  assert.is(Stop.of(controller.signal).stop.isAborted, true)
})

test.run()
