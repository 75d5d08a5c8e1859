import * as assert from 'uvu/assert'
import { utf8 } from '../../../lib/base/bytes.ts'
import { GOSSIP_BYTES_MAX, GOSSIP_TOPICS_MAX, GOSSIP_TOPIC_CHARS_MAX } from '../../../lib/base/network.ts'
import type { Connection, Gossip, Network, Verdict } from '../../../lib/base/network.ts'
import { until, within } from '../../support/within.ts'
import { fails, isError, never, text } from './arena.ts'
import type { Arena, Suite } from './arena.ts'

const TOPIC = 'mcp-swarm/test/documents/1'

/** One peer's part in a topic, and what it was shown. */
interface Member { readonly network: Network, readonly gossip: Gossip, readonly seen: string[], readonly from: string[], readonly leave: () => void }

/** Messages among peers that pass on what they find good. */
export function gossip (test: Suite, arena: Arena): void {
  const { open, pair } = arena

  const link = async (a: Network, b: Network): Promise<{ toA: Connection, toB: Connection }> => {
    const arrived = new Promise<Connection>(resolve => { b.onConnection(resolve) })
    const toB = await within(5_000, 'dial', a.dial(b.peerId, b.addresses(), never()))
    return { toB, toA: await within(5_000, 'the inbound end', arrived) }
  }

  const admit = (...connections: readonly Connection[]): void => { for (const connection of connections) connection.admit() }

  /** Peers in a row, each connected with the next, all in the topic. */
  const line = async (count: number): Promise<Member[]> => {
    const networks = await Promise.all(Array.from({ length: count }, open))
    for (const [index, network] of networks.entries()) {
      if (index > 0) admit(...Object.values(await link(networks[index - 1] as Network, network)))
    }
    const members = await Promise.all(networks.map(async network => await member(network)))
    for (const [index, { gossip }] of members.entries()) {
      const neighbours = index === 0 || index === count - 1 ? 1 : 2
      await until(`${neighbours} neighbours of peer ${index}`, () => gossip.peers(TOPIC).length === neighbours)
    }
    return members
  }

  test('brings a message to every peer of a line, once each', async () => {
    const members = await line(4)
    const [first, last] = [members[0] as Member, members[3] as Member]
    for (const word of ['one', 'two', 'three']) assert.is(await within(5_000, 'publish', first.gossip.publish(TOPIC, utf8(word))), 1)
    await first.gossip.publish(TOPIC, utf8('four'))
    await last.gossip.publish(TOPIC, utf8('back'))
    await until('every message everywhere', () => sawAll(last, ['one', 'two', 'three', 'four']) && members.slice(0, -1).every(peer => sawAll(peer, ['back'])))
    await last.gossip.publish(TOPIC, utf8('fence'))
    await until('the fence', () => sawAll(first, ['fence']))
    assert.equal(members.map(({ seen }) => seen.toSorted()), [
      ['back', 'fence'],
      ...Array.from({ length: 2 }, () => ['back', 'fence', 'four', 'one', 'three', 'two']),
      ['four', 'one', 'three', 'two']
    ])
    assert.equal(new Set(last.from), new Set([members[2]?.network.peerId]))
  })

  test('neither gives a stranger anything nor takes anything from it', async () => {
    const [a, b, c] = [await open(), await open(), await open()]
    const { toA, toB } = await link(a, b)
    admit(...Object.values(await link(b, c)), toB) // a has admitted b, b not yet a
    const [ofA, ofB, ofC] = [await member(a), await member(b), await member(c)]
    await until('the admitted two', () => ofB.gossip.peers(TOPIC).length === 1 && ofC.gossip.peers(TOPIC).length === 1)
    for (let round = 0; round < 40; round++) {
      assert.is(await ofA.gossip.publish(TOPIC, utf8(`from a ${round}`)), 0)
      assert.is(await ofB.gossip.publish(TOPIC, utf8(`from b ${round}`)), 1)
    }
    await until('the admitted one to hear', () => ofC.seen.length === 40)
    assert.equal([ofA.seen, ofB.seen, ofA.gossip.peers(TOPIC)], [[], [], []])
    toA.admit()
    await until('both to be neighbours', () => ofA.gossip.peers(TOPIC).length === 1 && ofB.gossip.peers(TOPIC).length === 2)
    await ofA.gossip.publish(TOPIC, utf8('now'))
    await until('a message of the admitted', () => sawAll(ofB, ['now']) && sawAll(ofC, ['now']))
  })

  test('passes on what the judge accepts, and nothing else', async () => {
    const verdicts: Record<string, Verdict> = { bad: 'reject', dull: 'ignore' }
    const [a, b, c] = [await open(), await open(), await open()]
    admit(...Object.values(await link(a, b)), ...Object.values(await link(b, c)))
    const [ofA, ofB, ofC] = [await member(a), await member(b, word => verdicts[word] ?? 'accept'), await member(c)]
    await until('neighbours', () => ofA.gossip.peers(TOPIC).length === 1 && ofB.gossip.peers(TOPIC).length === 2)
    for (const word of ['bad', 'dull', 'good', 'bad']) await ofA.gossip.publish(TOPIC, utf8(word))
    await until('the judge to see all', () => ofB.seen.length === 4)
    await until('the good one', () => ofC.seen.length === 1)
    await ofA.gossip.publish(TOPIC, utf8('fence'))
    await until('the fence', () => sawAll(ofC, ['fence']))
    assert.equal(ofC.seen, ['good', 'fence'])
  })

  test('takes equal bytes published twice for two messages', async () => {
    const [first, middle, last] = await line(3) as [Member, Member, Member]
    for (let round = 0; round < 3; round++) await first.gossip.publish(TOPIC, utf8('same'))
    await middle.gossip.publish(TOPIC, utf8('same'))
    await first.gossip.publish(TOPIC, new Uint8Array())
    await first.gossip.publish(TOPIC, new Uint8Array())
    await until('six messages', () => last.seen.length === 6)
    assert.equal(last.seen.toSorted(), ['', '', 'same', 'same', 'same', 'same'])
  })

  test('tells nobody of what is only prepared, and publishes it as anything else', async () => {
    const [first, last] = await line(2) as [Member, Member]
    const [said, unsaid] = [utf8('said'), utf8('unsaid')]
    for (const bytes of [said, unsaid]) first.gossip.prepare?.(TOPIC, bytes)
    assert.is(await first.gossip.publish(TOPIC, utf8('before')), 1)
    for (let round = 0; round < 2; round++) assert.is(await first.gossip.publish(TOPIC, said), 1)
    await first.gossip.publish(TOPIC, utf8('fence'))
    await until('four messages', () => last.seen.length === 4)
    assert.equal(last.seen.toSorted(), ['before', 'fence', 'said', 'said'])
  })

  test('carries a message of the largest size, and refuses one more byte', async () => {
    const [first, , last] = await line(3) as [Member, Member, Member]
    const large = 'x'.repeat(GOSSIP_BYTES_MAX)
    await fails('TOO_LARGE', /limit 65536/, first.gossip.publish(TOPIC, utf8(`${large}x`)))
    const bytes = utf8(large)
    const sending = first.gossip.publish(TOPIC, bytes)
    bytes.fill(0) // not kept
    await within(5_000, 'publish', sending)
    await until('the large one', () => last.seen.length === 1)
    assert.ok(last.seen[0] === large)
    await first.gossip.publish(TOPIC, utf8('after'))
    await until('another one', () => sawAll(last, ['after']))
  })

  test('bounds how many topics a peer is in, and their names', async () => {
    const a = await open()
    const gossip = await a.gossip()
    assert.throws(() => gossip.join('t'.repeat(GOSSIP_TOPIC_CHARS_MAX + 1), () => 'accept'), isError('TOO_LARGE'))
    await fails('TOO_LARGE', /characters/, gossip.publish('t'.repeat(GOSSIP_TOPIC_CHARS_MAX + 1), new Uint8Array()))
    const leave = Array.from({ length: GOSSIP_TOPICS_MAX }, (_, index) => gossip.join(`topic ${index}`, () => 'accept'))
    assert.throws(() => gossip.join('one more', () => 'accept'), isError('OVERLOADED'))
    leave[0]?.()
    gossip.join('one more', () => 'accept')
  })

  test('tells a neighbour of every topic up to the limit', async () => {
    const { a, b } = await pair()
    const [here, there] = [await a.gossip(), await b.gossip()]
    for (let index = 0; index < GOSSIP_TOPICS_MAX; index++) there.join(`${TOPIC}/${index}`, () => 'accept')
    await until('the last topic', () => here.peers(`${TOPIC}/${GOSSIP_TOPICS_MAX - 1}`).length === 1)
    assert.equal(here.peers(`${TOPIC}/0`), [b.peerId])
  })

  test('keeps topics apart, and reaches one that the publisher is not in', async () => {
    const { a, b } = await pair()
    const [here, there] = [await a.gossip(), await member(b)]
    await until('the neighbour', () => here.peers(TOPIC).length === 1)
    assert.equal(here.peers('another'), [])
    assert.is(await here.publish('another', utf8('lost')), 0)
    assert.is(await here.publish(TOPIC, utf8('heard')), 1)
    await until('the message', () => there.seen.length === 1)
    assert.equal(there.seen, ['heard'])
  })

  test('leaves a topic, and comes back', async () => {
    const { a, b } = await pair()
    const [here, there] = [await member(a), await member(b)]
    await until('the neighbour', () => here.gossip.peers(TOPIC).length === 1)
    there.leave()
    there.leave()
    await until('the leave', () => here.gossip.peers(TOPIC).length === 0)
    assert.is(await here.gossip.publish(TOPIC, utf8('unheard')), 0)
    const back = await member(b)
    await until('the return', () => here.gossip.peers(TOPIC).length === 1)
    await here.gossip.publish(TOPIC, utf8('heard again'))
    await until('the message', () => back.seen.length === 1)
    assert.equal([there.seen, back.seen], [[], ['heard again']])
  })

  test('includes a peer that opens gossip long after the connection, and one that connects late', async () => {
    const { a, b } = await pair()
    const here = await member(a)
    assert.is(await here.gossip.publish(TOPIC, utf8('too early')), 0)
    const there = await member(b)
    await until('the neighbour', () => here.gossip.peers(TOPIC).length === 1)
    await here.gossip.publish(TOPIC, utf8('in time'))
    await until('the message', () => sawAll(there, ['in time']))
    const c = await open()
    const late = await member(c)
    admit(...Object.values(await link(b, c)))
    await until('the late one', () => there.gossip.peers(TOPIC).length === 2)
    await here.gossip.publish(TOPIC, utf8('for all'))
    await until('the message', () => sawAll(late, ['for all']))
    await until('the message', () => sawAll(there, ['for all']))
    for (const { seen } of [there, late]) assert.is(new Set(seen).size, seen.length) // they may be told of what was said just before
  })

  test('goes on over a new connection, with no message judged twice', async () => {
    const { a, b, toB } = await pair()
    const [here, there] = [await member(a), await member(b)]
    await until('the neighbour', () => here.gossip.peers(TOPIC).length === 1)
    await here.gossip.publish(TOPIC, utf8('before'))
    await until('the message', () => there.seen.length === 1)
    const gone = new Promise<void>(resolve => { toB.onClose(resolve) })
    await toB.close()
    await within(5_000, 'the close', gone)
    await until('nobody', () => here.gossip.peers(TOPIC).length === 0 && there.gossip.peers(TOPIC).length === 0)
    admit(...Object.values(await link(b, a)))
    await until('the neighbour', () => here.gossip.peers(TOPIC).length === 1)
    await here.gossip.publish(TOPIC, utf8('after'))
    await until('the message', () => sawAll(there, ['after']))
    assert.equal(there.seen, ['before', 'after'])
  })

  test('is one for a network, and ends with it', async () => {
    const { a, b } = await pair()
    const [here, there] = [await member(a), await member(b)]
    assert.is(await a.gossip(), here.gossip)
    await until('the neighbour', () => there.gossip.peers(TOPIC).length === 1)
    await within(2_000, 'close', a.close())
    assert.throws(() => here.gossip.join('late', () => 'accept'), isError('CLOSED'))
    await fails('CLOSED', /closed/, here.gossip.publish(TOPIC, utf8('late')))
    await fails('CLOSED', /closed/, a.gossip())
    assert.equal(here.gossip.peers(TOPIC), [])
    here.leave()
    await until('the other to notice', () => there.gossip.peers(TOPIC).length === 0)
  })
}

async function member (network: Network, judge: (word: string) => Verdict = () => 'accept'): Promise<Member> {
  const gossip = await within(5_000, 'gossip', network.gossip())
  const [seen, from]: [string[], string[]] = [[], []]
  const leave = gossip.join(TOPIC, message => {
    seen.push(text(message.bytes))
    from.push(message.from)
    return judge(text(message.bytes))
  })
  return { network, gossip, seen, from, leave }
}

function sawAll ({ seen }: Member, words: readonly string[]): boolean {
  return words.every(word => seen.includes(word))
}
