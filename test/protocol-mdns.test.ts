/** The packets of mDNS, frozen as in protocol.test.ts. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../lib/base/random.ts'
import { open, seal, swarmKeyOf } from '../transports/mdns/seal.ts'
import { readMessage, writeAnswer, writeQuestion } from '../transports/mdns/wire.ts'
import { SWARM, alice, check, freeze, frozen, one, type Sent } from './support/frozen.ts'

const key = swarmKeyOf(SWARM)
const [LABEL, OTHER] = ['00112233445566ff', 'aabbccddeeff0011']
const KNOWN = [{ label: LABEL, ttlS: 1_200 }, { label: OTHER, ttlS: 601 }]
const ADDRESSES = ['/ip4/10.0.0.7/tcp/7001', '/ip4/10.0.0.7/tcp/7002/ws']
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

freeze('mdns', (): Sent => {
  const random = seededRandom(1)
  const announcement = seal(key, LABEL, { peerId: alice.peerId, addresses: ADDRESSES }, random)
  const leaving = seal(key, LABEL, { peerId: alice.peerId, addresses: [] }, random)
  return [
    ['tag', key.tag],
    ['key', hexOf(key.key)],
    ['question', hexOf(writeQuestion(key.tag, KNOWN))],
    ['sealed', hexOf(announcement)],
    ['answer', hexOf(writeAnswer(key.tag, LABEL, 1_200, announcement))],
    ['leaving', hexOf(writeAnswer(key.tag, LABEL, 0, leaving))]
  ]
})

check('mdns: reads these bytes', () => {
  const lines = frozen('mdns')
  assert.equal(readMessage(fromHex(one('question', lines)), key.tag), { kind: 'question', known: KNOWN })
  for (const [who, ttlS, addresses] of [['answer', 1_200, ADDRESSES], ['leaving', 0, []]] as const) {
    const message = readMessage(fromHex(one(who, lines)), key.tag)
    const [answer] = message?.kind === 'answer' ? message.answers : []
    assert.equal([answer?.label, answer?.ttlS], [LABEL, ttlS])
    assert.equal(open(key, LABEL, answer?.sealed ?? new Uint8Array(0)), { peerId: alice.peerId, addresses })
  }
})

test.run()
