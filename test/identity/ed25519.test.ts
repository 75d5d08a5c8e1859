import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isSigned } from '#ed25519'
import { seededRandom } from '../../lib/base/random.ts'
import { KEYS_MAX, keptKeys } from '../../lib/identity/ed25519.node.ts'
import { generateKey } from '../../lib/identity/key.ts'

const text = Uint8Array.of(1, 2, 3)

test('keys that were made ready are kept, at most KEYS_MAX, and answer as new ones do', () => {
  const random = seededRandom(5)
  const keys = Array.from({ length: KEYS_MAX + 10 }, () => generateKey(random))
  for (const round of [1, 2]) {
    for (const [index, key] of keys.entries()) {
      assert.ok(isSigned(key.publicKey, text, key.sign(text)), `key ${index}, round ${round}`)
      const other = keys[(index + 1) % keys.length] as typeof key
      assert.not.ok(isSigned(other.publicKey, text, key.sign(text)))
      assert.ok(keptKeys() <= KEYS_MAX, `${keptKeys()} keys`)
    }
  }
  assert.ok(keptKeys() >= KEYS_MAX / 2)
})

test('bytes that change afterwards change nothing that is kept', () => {
  const [key, other] = [generateKey(seededRandom(6)), generateKey(seededRandom(7))]
  const shared = Uint8Array.from(key.publicKey)
  assert.ok(isSigned(shared, text, key.sign(text)))
  shared.set(other.publicKey)
  assert.not.ok(isSigned(shared, text, key.sign(text)))
  assert.ok(isSigned(shared, text, other.sign(text)))
  assert.ok(isSigned(key.publicKey, text, key.sign(text)))
})

test.run()
