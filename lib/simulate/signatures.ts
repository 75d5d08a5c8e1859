/** Signatures that cost nothing: who signed is known to the world alone. */
import { equalBytes, utf8 } from '../base/bytes.ts'
import { peerIdOf } from '../identity/key.ts'
import { sha256 } from '#hash'
import type { Signer, Verify } from '../../crdt/envelope.ts'

export class Signatures {
  readonly #secrets = new Map<string, Uint8Array>()

  /** The same for the same name. */
  signer (name: string): Signer {
    const publicKey = sha256(utf8(`public ${name}`))
    const secret = sha256(utf8(`secret ${name}`))
    const peerId = peerIdOf(publicKey)
    this.#secrets.set(peerId, secret)
    return { peerId, publicKey, sign: bytes => sealWith(secret, bytes) }
  }

  readonly verify: Verify = (publicKey, bytes, signature) => {
    const secret = this.#secrets.get(peerIdOf(publicKey))
    return secret !== undefined && equalBytes(signature, sealWith(secret, bytes))
  }
}

function sealWith (secret: Uint8Array, bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(secret.byteLength + bytes.byteLength)
  whole.set(secret)
  whole.set(bytes, secret.byteLength)
  const seal = new Uint8Array(64)
  seal.set(sha256(whole))
  return seal
}
