import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { ADDRESSES_MAX, ADDRESS_CHARS_MAX, open, seal, swarmKeyOf } from '../../../transports/mdns/seal.ts'
import { SEALED_BYTES_MAX } from '../../../transports/mdns/wire.ts'

const random = seededRandom(71)
const SWARM = 'mi4dk3e6mwiwnobdxthlc3g67u'
const key = swarmKeyOf(SWARM)
const LABEL = '00112233445566ff'
const { peerId } = generateKey(random)
const addresses = ['/ip4/10.0.0.7/tcp/4001', '/ip4/10.0.0.7/tcp/4002/ws']

test('members open what members closed; nobody else reads or makes any of it', () => {
  const sealed = seal(key, LABEL, { peerId, addresses }, random)
  assert.equal(open(key, LABEL, sealed), { peerId, addresses })
  assert.equal(open(key, LABEL, seal(key, LABEL, { peerId, addresses: [] }, random)), { peerId, addresses: [] })
  const text = Buffer.from(sealed).toString('latin1')
  for (const secret of [peerId, SWARM, '10.0.0.7', key.tag]) assert.is(text.includes(secret), false)
  assert.is(open(swarmKeyOf('aaaaaaaaaaaaaaaaaaaaaaaaaa'), LABEL, sealed), undefined)
  assert.is(open(key, '00112233445566fe', sealed), undefined, 'not under another label')
  for (let at = 0; at < sealed.length; at++) {
    const changed = Uint8Array.from(sealed)
    changed[at] = (changed[at] ?? 0) ^ 1
    assert.is(open(key, LABEL, changed), undefined, `byte ${at}`)
  }
  for (let length = 0; length < sealed.length; length++) assert.is(open(key, LABEL, sealed.subarray(0, length)), undefined)
})

test('the tag tells nothing of the swarm, and is its own', () => {
  assert.match(key.tag, /^[a-z2-7]{26}$/)
  assert.is(key.tag === SWARM, false)
  assert.is.not(swarmKeyOf('aaaaaaaaaaaaaaaaaaaaaaaaaa').tag, key.tag)
  assert.is(swarmKeyOf(SWARM).tag, key.tag)
})

test('long addresses go along whole, up to what fits; the rest is left out', () => {
  const long = `/ip4/10.0.0.7/udp/4001/quic-v1/${'webtransport/certhash/'.repeat(17)}`
  assert.ok(long.length > 255 && long.length <= ADDRESS_CHARS_MAX)
  assert.equal(open(key, LABEL, seal(key, LABEL, { peerId, addresses: [...addresses, long] }, random))?.addresses, [...addresses, long])
  const many = Array.from({ length: 40 }, (_, index) => `/ip4/10.0.0.${index}/tcp/4001`)
  assert.equal(open(key, LABEL, seal(key, LABEL, { peerId, addresses: many }, random))?.addresses, many.slice(0, ADDRESSES_MAX))
  const sealed = seal(key, LABEL, { peerId, addresses: [`${long}${'x'.repeat(ADDRESS_CHARS_MAX)}`, ...Array.from({ length: 9 }, (_, index) => long.replace('.7', `.${index}`))] }, random)
  assert.ok(sealed.byteLength <= SEALED_BYTES_MAX)
  const fitting = open(key, LABEL, sealed)?.addresses ?? []
  assert.ok(fitting.length >= 2 && fitting.every(address => address.length === long.length), `${fitting.length} addresses`)
})

test('what a member has closed and yet says nothing sensible is nothing', () => {
  assert.is(open(key, LABEL, seal(key, LABEL, { peerId: 'nobody', addresses }, random)), undefined)
})

test.run()
