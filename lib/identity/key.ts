/**
 * The key that is a peer's, or a swarm's, identity: Ed25519. The peer id is the public half, written as libp2p writes it,
 * so that whoever knows the id can check a signature without asking anyone.
 */
import { base58btc } from 'multiformats/bases/base58'
import { halvesOf, isSigned } from '#ed25519'
import { concatBytes } from '../base/bytes.ts'
import { SwarmError, assert } from '../base/error.ts'
import type { Random } from '../base/random.ts'

export const SEED_BYTES = 32
export const PUBLIC_KEY_BYTES = 32
export const SIGNATURE_BYTES = 64

/** Longest text read as a peer id; real ones have 52 characters. Bounds the work that base58 makes of a hostile one. */
export const PEER_ID_CHARS_MAX = 64

/**
 * What stands before the public key in a peer id: an identity multihash (0, length 36) of libp2p's protobuf (key type 1,
 * Ed25519; data of 32 bytes). Source: libp2p specs, peer-ids.md.
 */
const PEER_ID_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)

/**
 * Keys of small order, the sign bit cleared: for them a signature can be made up without any secret, and libraries differ on
 * whether it counts. Refused, so that every platform says the same. Source: RFC 8032, section 8; Chalkias, Garillot and
 * Nikolaenko, "Taming the many EdDSAs", SSR 2020, table 1.
 */
const WEAK_KEYS: ReadonlySet<string> = new Set([
  '00'.repeat(32),
  '01' + '00'.repeat(31),
  'ec' + 'ff'.repeat(30) + '7f',
  'ed' + 'ff'.repeat(30) + '7f',
  'ee' + 'ff'.repeat(30) + '7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'
])

/** What those begin with, since few others do. */
const WEAK_STARTS: ReadonlySet<number> = new Set([...WEAK_KEYS].map(digits => Number.parseInt(digits.slice(0, 2), 16)))

/** A private key. Printing it, as JSON, by `console.log` or in an error, shows its peer id only. */
export interface PrivateKey {
  readonly peerId: string
  /** 32 bytes, not to be changed. */
  readonly publicKey: Uint8Array
  /** The secret: 32 bytes, a copy for the caller. Only to store it, or to hand it to a transport. */
  readonly seed: Uint8Array
  /** Signature of 64 bytes. Whoever signs begins the bytes with what they are for, so that no signature serves twice. */
  sign (bytes: Uint8Array): Uint8Array
}

/** A fresh key; as secret as the bytes of `random` are unpredictable. */
export function generateKey (random: Random): PrivateKey {
  return keyFromSeed(random.bytes(SEED_BYTES))
}

/** The key of a seed of 32 bytes, which is copied. */
export function keyFromSeed (seed: Uint8Array): PrivateKey {
  assert(seed.byteLength === SEED_BYTES, `a seed has ${SEED_BYTES} bytes, not ${seed.byteLength}`)
  return new Ed25519Key(Uint8Array.from(seed))
}

/** Whether the signature is by that key. Never throws: a key or signature of a wrong shape, or a weak key, signs nothing. */
export function verify (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.byteLength !== PUBLIC_KEY_BYTES || signature.byteLength !== SIGNATURE_BYTES) return false
  if (isWeak(publicKey)) return false
  return isSigned(publicKey, bytes, signature)
}

/** The peer id of a public key of 32 bytes: `12D3KooW…`. */
export function peerIdOf (publicKey: Uint8Array): string {
  assert(publicKey.byteLength === PUBLIC_KEY_BYTES, `a public key has ${PUBLIC_KEY_BYTES} bytes, not ${publicKey.byteLength}`)
  return base58btc.baseEncode(concatBytes(PEER_ID_PREFIX, publicKey))
}

/**
 * The public key in a peer id, which may come from outside: 32 bytes for the caller to keep.
 *
 * @throws SwarmError MALFORMED if it is no Ed25519 peer id in its one spelling
 */
export function publicKeyOf (peerId: string): Uint8Array {
  if (peerId.length <= PEER_ID_CHARS_MAX) {
    const publicKey = decode(peerId).slice(PEER_ID_PREFIX.byteLength)
    if (publicKey.byteLength === PUBLIC_KEY_BYTES && peerIdOf(publicKey) === peerId) return publicKey
  }
  throw new SwarmError('MALFORMED', `${JSON.stringify(peerId.slice(0, PEER_ID_CHARS_MAX))} is no peer id: those start with 12D3KooW`)
}

function isWeak (publicKey: Uint8Array): boolean {
  if (!WEAK_STARTS.has(publicKey[0] as number)) return false
  const digits = Array.from(publicKey, (byte, index) => (index === PUBLIC_KEY_BYTES - 1 ? byte & 0x7f : byte).toString(16).padStart(2, '0'))
  return WEAK_KEYS.has(digits.join(''))
}

function decode (peerId: string): Uint8Array {
  try {
    return base58btc.baseDecode(peerId)
  } catch (cause) {
    throw new SwarmError('MALFORMED', `${JSON.stringify(peerId)} is no peer id: it is not base58`, { cause })
  }
}

class Ed25519Key implements PrivateKey {
  readonly peerId: string
  readonly publicKey: Uint8Array
  readonly #seed: Uint8Array
  readonly #sign: (bytes: Uint8Array) => Uint8Array

  constructor (seed: Uint8Array) {
    this.#seed = seed
    const { publicKey, sign } = halvesOf(seed)
    this.#sign = sign
    this.publicKey = publicKey
    this.peerId = peerIdOf(this.publicKey)
  }

  get seed (): Uint8Array {
    return Uint8Array.from(this.#seed)
  }

  sign (bytes: Uint8Array): Uint8Array {
    return this.#sign(bytes)
  }

  toJSON (): { peerId: string } {
    return { peerId: this.peerId }
  }

  [Symbol.for('nodejs.util.inspect.custom')] (): string {
    return `PrivateKey(${this.peerId})`
  }
}
