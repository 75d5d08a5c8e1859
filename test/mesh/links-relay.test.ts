/** Links of which some lead through another peer: a direct one serves before those, and what is under way on them ends there. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { Links, RETIRE_MS } from '../../lib/mesh/links.ts'
import { VirtualClock, settle } from '../support/clock.ts'
import { pairConnections, type PairedConnection } from '../support/pair.ts'

type Path = 'direct' | 'relay'

/** Ann and bob, who are connected by what is dialled here. */
class Rig {
  readonly clock = new VirtualClock()
  readonly ann = new Links({ peerId: 'ann', clock: this.clock, random: seededRandom(1) })
  readonly bob = new Links({ peerId: 'bob', clock: this.clock, random: seededRandom(2) })
  readonly told: string[] = []

  constructor () {
    for (const [who, links] of [['ann', this.ann], ['bob', this.bob]] as const) {
      links.on('connected', ({ connection }) => { this.told.push(`${who} connected ${connection.path}`) })
      links.on('moved', ({ connection, from }) => { this.told.push(`${who} moved ${from.path} to ${connection.path}`) })
      links.on('disconnected', () => { this.told.push(`${who} disconnected`) })
    }
  }

  dial (from: 'ann' | 'bob', path: Path): { ann: PairedConnection, bob: PairedConnection } {
    const { dialler, listener } = pairConnections(from, from === 'ann' ? 'bob' : 'ann', path)
    const [ann, bob] = from === 'ann' ? [dialler, listener] : [listener, dialler]
    for (const [links, connection] of [[this.ann, ann], [this.bob, bob]] as const) {
      connection.admit()
      links.add(connection)
    }
    return { ann, bob }
  }

  get serving (): (Path | undefined)[] {
    return [this.ann.get('bob')?.path, this.bob.get('ann')?.path]
  }
}

for (const first of ['ann', 'bob'] as const) {
  for (const second of ['ann', 'bob'] as const) {
    test(`relayed, dialled by ${first}; then direct, dialled by ${second}: the direct one serves at both ends, and the other closes`, async () => {
      const rig = new Rig()
      const relayed = rig.dial(first, 'relay')
      assert.equal(rig.serving, ['relay', 'relay'])
      const direct = rig.dial(second, 'direct')
      assert.is(rig.ann.get('bob'), direct.ann)
      assert.is(rig.bob.get('ann'), direct.bob)
      assert.equal(rig.told, ['ann connected relay', 'bob connected relay', 'ann moved relay to direct', 'bob moved relay to direct'])
      await rig.clock.advance(RETIRE_MS + 1)
      assert.equal([relayed.ann.closed, relayed.bob.closed, direct.ann.closed], [true, true, false])
      assert.equal([rig.ann.size, rig.bob.size], [1, 1])
      assert.is(rig.told.length, 4, 'nobody is missed')
    })

    test(`direct, dialled by ${first}; then relayed, dialled by ${second}: the direct one goes on serving`, async () => {
      const rig = new Rig()
      const direct = rig.dial(first, 'direct')
      const relayed = rig.dial(second, 'relay')
      assert.is(rig.ann.get('bob'), direct.ann)
      assert.is(rig.bob.get('ann'), direct.bob)
      await rig.clock.advance(RETIRE_MS + 1)
      assert.equal([relayed.ann.closed, direct.ann.closed], [true, false])
      assert.equal(rig.told, ['ann connected direct', 'bob connected direct'])
    })
  }
}

test('a call under way on a relayed link ends there; the next one goes the direct way', async () => {
  const rig = new Rig()
  const relayed = rig.dial('ann', 'relay')
  relayed.bob.answers.set('/call', stream => { stream.read({ data: bytes => { stream.send(bytes) }, ended: () => { void stream.end() }, closed () {} }) })
  const heard: string[] = []
  const stream = await relayed.ann.open('/call', new AbortController().signal)
  stream.read({ data: bytes => { heard.push(new TextDecoder().decode(bytes)) }, ended () {}, closed () {} })
  const release = rig.ann.hold(relayed.ann)
  const direct = rig.dial('bob', 'direct')
  await rig.clock.advance(3 * RETIRE_MS)
  stream.send(new TextEncoder().encode('still here'))
  await settle()
  assert.equal(heard, ['still here'])
  assert.is(rig.ann.get('bob'), direct.ann)
  release()
  await settle()
  assert.equal([relayed.ann.closed, relayed.bob.closed, direct.ann.closed], [true, true, false])
})

test('a relayed link serves again if the direct one breaks before it is closed, and for good', async () => {
  const rig = new Rig()
  const relayed = rig.dial('ann', 'relay')
  const direct = rig.dial('ann', 'direct')
  await rig.clock.advance(RETIRE_MS / 2)
  direct.ann.abort(new SwarmError('CLOSED', 'broken'))
  await settle()
  assert.equal(rig.serving, ['relay', 'relay'])
  await rig.clock.advance(3 * RETIRE_MS)
  assert.not(relayed.ann.closed)
  assert.equal(rig.told.slice(-2), ['ann moved direct to relay', 'bob moved direct to relay'])
})

test.run()
