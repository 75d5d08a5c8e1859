/**
 * The arithmetic of a Noise handshake as OpenSSL has it, behind the option that @libp2p/noise offers for that.
 *
 * Its own for Node decodes both keys from DER at each of the six agreements that a link takes, and derives keys in JavaScript. Here a
 * private key is set up once, and a public one read as JWK: OpenSSL tries its decoders in turn on DER (lib/identity/ed25519.node.ts).
 * What encrypts and decrypts afterwards is the package's.
 */
import { createHmac, createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { defaultCrypto } from '@libp2p/noise/crypto'
import type { ICryptoInterface, KeyPair } from '@libp2p/noise'

type Bytes = Uint8Array | { subarray (): Uint8Array }

/** Private keys as OpenSSL has them, for as long as whoever holds the bytes does. */
const held = new WeakMap<Uint8Array, KeyObject>()

export const nodeNoiseCrypto: ICryptoInterface = {
  ...defaultCrypto,

  generateX25519KeyPair (): KeyPair {
    const { privateKey } = generateKeyPairSync('x25519')
    const { d = '', x = '' } = privateKey.export({ format: 'jwk' })
    const pair = { publicKey: new Uint8Array(Buffer.from(x, 'base64url')), privateKey: new Uint8Array(Buffer.from(d, 'base64url')) }
    held.set(pair.privateKey, privateKey)
    return pair
  },

  /** @throws if the other's key is one for which every secret is alike */
  generateX25519SharedKey (privateKey, publicKey): Uint8Array {
    return diffieHellman({ privateKey: privateOf(bytesOf(privateKey)), publicKey: publicOf(bytesOf(publicKey)) })
  },

  /** HKDF with three outputs. Source: The Noise Protocol Framework, revision 34, section 4.3. */
  getHKDF (chainingKey, material): [Uint8Array, Uint8Array, Uint8Array] {
    const key = hmac(chainingKey, material)
    const first = hmac(key, ONE)
    const second = hmac(key, first, TWO)
    return [first, second, hmac(key, second, THREE)]
  }
}

const [ONE, TWO, THREE] = [1, 2, 3].map(value => Uint8Array.of(value)) as [Uint8Array, Uint8Array, Uint8Array]

function hmac (key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  const made = createHmac('sha256', key)
  for (const part of parts) made.update(part)
  return made.digest()
}

function bytesOf (bytes: Bytes): Uint8Array {
  return bytes instanceof Uint8Array ? bytes : bytes.subarray()
}

function privateOf (bytes: Uint8Array): KeyObject {
  const known = held.get(bytes)
  if (known !== undefined) return known
  const { publicKey } = defaultCrypto.generateX25519KeyPairFromSeed(bytes)
  const key = createPrivateKey({ key: { ...OKP, d: text(bytes), x: text(publicKey) }, format: 'jwk' })
  held.set(bytes, key)
  return key
}

function publicOf (bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: { ...OKP, x: text(bytes) }, format: 'jwk' })
}

const OKP = { kty: 'OKP', crv: 'X25519' } as const

function text (bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}
