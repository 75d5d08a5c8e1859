/** The lines of dialback, frozen as in protocol.test.ts. */
import * as assert from 'uvu/assert'
import { test } from 'uvu'
import { SwarmError } from '../lib/base/error.ts'
import { askBack, Dialback } from '../transports/libp2p/dialback.ts'
import { VirtualClock } from './support/clock.ts'
import { alice, bob, by, check, freeze, frozen, type Sent } from './support/frozen.ts'
import { pairConnections, type PairedStream } from './support/pair.ts'

const PROTOCOL = '/mcp-swarm/mi4dk3e6mwiwnobdxthlc3g67u/dialback/1.0.0'

type Asked = Parameters<typeof askBack>[0]
type Transports = ConstructorParameters<typeof Dialback>[0]

/** A dialler that asks, and a listener at whom it knocks: at those ports somebody answers. */
async function dialback (ports: readonly number[], answering: readonly number[]): Promise<{ readonly sent: Sent, readonly reached: boolean }> {
  const ends = pairConnections(alice.peerId, bob.peerId)
  for (const end of [ends.dialler, ends.listener]) end.admit()
  const clock = new VirtualClock()
  const transport = {
    dial: async (address: { toString (): string }) => {
      assert.match(address.toString(), /^\/ip4\/203\.0\.113\.7\/tcp\/\d+$/)
      if (!answering.includes(Number(address.toString().split('/').at(-1)))) throw new SwarmError('UNREACHABLE', 'nobody there')
    }
  }
  const dialback = new Dialback({ dialTransportForMultiaddr: () => transport } as unknown as Transports, clock)
  let stream: PairedStream | undefined
  let answered: Promise<void> | undefined
  ends.listener.answers.set(PROTOCOL, far => {
    stream = far as PairedStream
    const from = { path: 'direct', raw: { remoteAddr: { getComponents: () => [{ name: 'ip4', value: '203.0.113.7' }, { name: 'tcp', value: '50001' }] } } }
    answered = dialback.answer(far, from as unknown as Asked)
  })
  const reached = await askBack(ends.dialler as unknown as Asked, PROTOCOL, ports, clock, new AbortController().signal)
  await answered
  const spoken = (who: string, end: PairedStream | undefined): Sent => (end?.text ?? '').split('\n').slice(0, -1).map(line => [who, line])
  return { sent: [...spoken('dialler', stream?.other), ...spoken('listener', stream)], reached }
}

freeze('dialback', async () => [...(await dialback([4001, 4002], [4002])).sent, ...(await dialback([4001], [])).sent])

check('dialback: reads these bytes', async () => {
  const [reached, missed] = by('listener', frozen('dialback')).map(line => JSON.parse(line) as unknown)
  assert.equal([reached, missed], [{ reached: true }, { reached: false }])
  assert.is((await dialback([4001, 4002], [4002])).reached, true)
  assert.is((await dialback([4001], [])).reached, false)
})

test.run()
