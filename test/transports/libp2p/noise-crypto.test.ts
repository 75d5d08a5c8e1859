/** The arithmetic of handshakes: as others have it, and as it is written down. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pureJsCrypto } from '@libp2p/noise'
import { systemRandom } from '../../../lib/base/random.ts'
import { nodeNoiseCrypto } from '../../../transports/libp2p/noise-crypto.node.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const ROUNDS = 50

test('keys and secrets are those of another implementation', () => {
  for (let round = 0; round < ROUNDS; round++) {
    const [ours, theirs] = [nodeNoiseCrypto.generateX25519KeyPair(), pureJsCrypto.generateX25519KeyPair()]
    assert.is(hex(pureJsCrypto.generateX25519KeyPairFromSeed(ours.privateKey).publicKey), hex(ours.publicKey))
    const secret = hex(pureJsCrypto.generateX25519SharedKey(theirs.privateKey, ours.publicKey))
    assert.is(hex(nodeNoiseCrypto.generateX25519SharedKey(ours.privateKey, theirs.publicKey)), secret)
    // A key that was not made here, and one that was and comes as a copy.
    assert.is(hex(nodeNoiseCrypto.generateX25519SharedKey(theirs.privateKey, ours.publicKey)), secret)
    assert.is(hex(nodeNoiseCrypto.generateX25519SharedKey(ours.privateKey.slice(), theirs.publicKey)), secret)
  }
})

test('a key by which every secret would be the same is refused', () => {
  const { privateKey } = nodeNoiseCrypto.generateX25519KeyPair()
  for (const first of [0, 1]) assert.throws(() => nodeNoiseCrypto.generateX25519SharedKey(privateKey, Uint8Array.of(first, ...new Uint8Array(31))))
})

test('keys are derived as by another implementation, and as RFC 5869 has it', () => {
  for (let round = 0; round < ROUNDS; round++) {
    const [key, material] = [systemRandom.bytes(32), systemRandom.bytes(round % 2 === 0 ? 32 : 0)]
    assert.equal(nodeNoiseCrypto.getHKDF(key, material).map(hex), pureJsCrypto.getHKDF(key, material).map(hex))
  }
  // Appendix A.3: no salt, which counts as 32 zeros, and no info; the first 42 bytes.
  const derived = nodeNoiseCrypto.getHKDF(new Uint8Array(32), new Uint8Array(22).fill(0x0b)).map(hex).join('')
  assert.is(derived.slice(0, 84), '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8')
})

test.run()
