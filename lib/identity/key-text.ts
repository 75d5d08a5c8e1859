/** A key as it is kept, one line of JSON: `{"v":1,"peerId":"12D3KooW…","seed":"<32 bytes, base64url>"}`. No message and no cause quotes it. */
import { SEED_BYTES, keyFromSeed } from './key.ts'
import type { PrivateKey } from './key.ts'
import { fromBase64Url, toBase64Url } from '../base/bytes.ts'
import { SwarmError } from '../base/error.ts'
import { isObject } from '../base/json.ts'

const VERSION = 1

export function writeKeyText (key: PrivateKey): string {
  return `${JSON.stringify({ v: VERSION, peerId: key.peerId, seed: toBase64Url(key.seed) })}\n`
}

/** @param path names it in errors @throws SwarmError KEY_INVALID if it holds no key, VERSION_UNSUPPORTED if a newer release wrote it */
export function readKeyText (path: string, text: string): PrivateKey {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw keyInvalid(path, 'it is not JSON') // without its cause, which would quote the file
  }
  if (!isObject(value)) throw keyInvalid(path, 'it is not a JSON object')
  if (typeof value['v'] === 'number' && value['v'] > VERSION) {
    throw new SwarmError('VERSION_UNSUPPORTED', `key file ${path} has format ${value['v']}; this release reads ${VERSION}`, { details: { path } })
  }
  const seed = value['v'] === VERSION && typeof value['seed'] === 'string' ? readSeed(path, value['seed']) : undefined
  if (seed?.byteLength !== SEED_BYTES) throw keyInvalid(path, 'its members are not those of a key file')
  const key = keyFromSeed(seed)
  if (key.peerId !== value['peerId']) throw keyInvalid(path, 'its peer id is not that of its seed')
  return key
}

function readSeed (path: string, text: string): Uint8Array {
  try {
    return fromBase64Url(text)
  } catch {
    throw keyInvalid(path, 'its seed is not base64url') // without its cause, which might quote the seed
  }
}

export function keyInvalid (path: string, why: string): SwarmError {
  return new SwarmError('KEY_INVALID', `key file ${path} holds no key: ${why}. Put its backup back, or move it away to get a new identity`, { details: { path } })
}
