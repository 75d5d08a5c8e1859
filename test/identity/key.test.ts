import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as page from '../../lib/identity/ed25519.browser.ts'
import * as node from '../../lib/identity/ed25519.node.ts'
import { PEER_ID_CHARS_MAX, generateKey, keyFromSeed, peerIdOf, publicKeyOf, verify } from '../../lib/identity/key.ts'
import { utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'

interface Fixtures { signed: string, keys: { seed: string, publicKey: string, peerId: string, signature: string }[] }
const fixtures = JSON.parse(readFileSync(new URL('../fixtures/keys.json', import.meta.url), 'utf8')) as Fixtures
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))
const seed = Number(process.env['SEED'] ?? 20261)
console.log(`key: SEED=${seed}`)

for (const { seed, publicKey, peerId, signature } of fixtures.keys) {
  test(`derives what libp2p derives: ${peerId}`, () => {
    const key = keyFromSeed(bytesOf(seed))
    assert.equal(key.publicKey, bytesOf(publicKey))
    assert.is(key.peerId, peerId)
    assert.equal(publicKeyOf(peerId), bytesOf(publicKey))
    assert.is(peerIdOf(key.publicKey), peerId)
    for (const twin of [node, page]) {
      assert.equal(twin.halvesOf(key.seed).publicKey, bytesOf(publicKey))
      assert.equal(twin.halvesOf(key.seed).sign(utf8(fixtures.signed)), bytesOf(signature))
      assert.ok(twin.isSigned(key.publicKey, utf8(fixtures.signed), bytesOf(signature)))
    }
    assert.ok(verify(key.publicKey, utf8(fixtures.signed), bytesOf(signature)))
  })
}

test('a changed key, text or signature is refused, alike on both platforms', () => {
  const random = seededRandom(seed)
  const key = generateKey(random)
  for (let round = 0; round < 60; round++) {
    const parts = [Uint8Array.from(key.publicKey), random.bytes(1 + round), new Uint8Array()]
    parts[2] = key.sign(parts[1] as Uint8Array)
    const [publicKey, bytes, signature] = parts as [Uint8Array, Uint8Array, Uint8Array]
    assert.ok(verify(publicKey, bytes, signature))
    const changed = parts[round % 3] as Uint8Array
    const at = Math.floor(random.next() * changed.byteLength)
    changed[at] = (changed[at] as number) ^ 1 << Math.floor(random.next() * 8)
    assert.not(verify(publicKey, bytes, signature), `round ${round}`)
    assert.not(page.isSigned(publicKey, bytes, signature), `round ${round} in a page`)
  }
})

test('a signature has one spelling: adding the group order is refused', () => {
  const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n
  const key = keyFromSeed(bytesOf((fixtures.keys[2] as { seed: string }).seed))
  const signature = key.sign(utf8('once'))
  let scalar = BigInt('0x' + Buffer.from(signature.slice(32).reverse()).toString('hex')) + ORDER
  for (let index = 32; index < 64; index++, scalar >>= 8n) signature[index] = Number(scalar & 255n)
  assert.not(verify(key.publicKey, utf8('once'), signature))
  assert.not(page.isSigned(key.publicKey, utf8('once'), signature))
})

test('a key of small order, for which anybody can sign, signs nothing', () => {
  const identity = Uint8Array.from({ length: 32 }, (_, index) => index === 0 ? 1 : 0)
  const made = Uint8Array.from({ length: 64 }, (_, index) => index === 0 ? 1 : 0)
  // Node 24 refuses it by itself.
  if (Number.parseInt(process.versions.node) < 24) assert.ok(node.isSigned(identity, utf8('anything'), made), 'the platform itself takes it')
  assert.not(verify(identity, utf8('anything'), made))
  const negative = Uint8Array.from(identity)
  negative[31] = 0x80
  assert.not(verify(negative, utf8('anything'), made))
})

test('verify never throws, whatever the shapes', () => {
  const random = seededRandom(seed + 1)
  for (const length of [0, 1, 31, 32, 33, 64, 65, 1000]) {
    for (const signatureLength of [0, 1, 63, 64, 65]) assert.not(verify(random.bytes(length), utf8('text'), random.bytes(signatureLength)))
  }
})

const good = keyFromSeed(new Uint8Array(32)).peerId
for (const [name, text] of [
  ['nothing', ''],
  ['another key type', 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N'],
  ['a character outside base58', good.replace('D', '0')],
  ['a text cut short', good.slice(0, -1)],
  ['a longer text', good + '1'],
  ['another spelling of the same bytes', '1' + good],
  ['the multibase spelling', 'z' + good],
  ['a text over the limit', good.repeat(1000)],
  ['an id of secp256k1', '16Uiu2HAkyP8hZqFSbMDi1bRYhHtZzZCd8Y8bG3kzhrpVFkPEbHnh']
] as const) {
  test(`no peer id: ${name}`, () => {
    assert.throws(() => publicKeyOf(text), (error: unknown) =>
      error instanceof SwarmError && error.code === 'MALFORMED' && error.message.length < 200)
  })
}

test('the limit on a peer id holds', () => {
  assert.is(good.length, 52)
  assert.throws(() => publicKeyOf('1'.repeat(PEER_ID_CHARS_MAX + 1)), (error: unknown) => error instanceof SwarmError && error.code === 'MALFORMED')
})

test('the seed is shown by nothing that prints', () => {
  const key = generateKey(systemRandom)
  const secrets = [Buffer.from(key.seed).toString('hex'), Buffer.from(key.seed).toString('base64'), Buffer.from(key.seed).toString('base64url'), [...key.seed].join(','), [...key.seed].join(', ')]
  const error = new SwarmError('KEY_INVALID', 'shown', { details: { key } })
  const shown = [
    JSON.stringify(key), JSON.stringify({ key }), inspect(key), inspect({ deep: { key } }, { depth: 9 }), inspect(key, { showHidden: true, getters: true }), inspect(key, { showHidden: true, customInspect: false }),
    inspect(error, { depth: 9 }), `${key as unknown as string}`, JSON.stringify({ ...key }), JSON.stringify(structuredClone({ ...key })), JSON.stringify(error)
  ]
  for (const text of shown) {
    const plain = text.replace(/\s+/g, ' ')
    for (const secret of secrets) assert.not(plain.includes(secret), text)
  }
  assert.is(JSON.stringify(key), `{"peerId":"${key.peerId}"}`)
  assert.is(inspect(key), `PrivateKey(${key.peerId})`)
})

test('the seed handed out is a copy, and so is the one taken in', () => {
  const seed = systemRandom.bytes(32)
  const key = keyFromSeed(seed)
  const before = key.sign(utf8('text'))
  seed.fill(0)
  key.seed.fill(0)
  assert.equal(key.sign(utf8('text')), before)
  assert.equal(keyFromSeed(key.seed).peerId, key.peerId)
})

test('two fresh keys differ', () => {
  assert.is.not(generateKey(systemRandom).peerId, generateKey(systemRandom).peerId)
})

test.run()
