import { SwarmError } from './error.ts'

/** UTF-8 bytes of a text. */
export function utf8 (text: string): Uint8Array {
  return encoder.encode(text)
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Text of UTF-8 bytes, all of it: a byte order mark too. @throws SwarmError MALFORMED if they are not UTF-8 */
export function textOf (bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new SwarmError('MALFORMED', `${bytes.byteLength} bytes are not UTF-8`, { cause })
  }
}

/** Whether bytes `from` to `to`, without `to`, are a text of ASCII. */
export function isAscii (bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if ((bytes[at] as number) > 127) return false
  return true
}

export function concatBytes (...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.byteLength
  }
  return whole
}

export function equalBytes (left: Uint8Array, right: Uint8Array): boolean {
  if (left.byteLength !== right.byteLength) return false
  for (let at = 0; at < left.byteLength; at++) if (left[at] !== right[at]) return false
  return true
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Base64url without padding. Source: RFC 4648, section 5. */
export function toBase64Url (bytes: Uint8Array): string {
  let text = ''
  for (let index = 0; index < bytes.byteLength; index += 3) {
    const group = (bytes[index] ?? 0) << 16 | (bytes[index + 1] ?? 0) << 8 | (bytes[index + 2] ?? 0)
    const digits = Math.min(bytes.byteLength - index, 3) + 1
    for (let digit = 0; digit < digits; digit++) text += BASE64URL[group >> 18 - 6 * digit & 63]
  }
  return text
}

/** @throws SwarmError MALFORMED on a foreign character, an impossible length or stray bits: one text for one value */
export function fromBase64Url (text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor(text.length * 3 / 4))
  let [bits, held, offset] = [0, 0, 0]
  for (const character of text) {
    const digit = BASE64URL.indexOf(character)
    if (digit === -1) throw new SwarmError('MALFORMED', 'a base64url text holds a foreign character')
    bits = bits << 6 | digit
    held += 6
    if (held >= 8) {
      held -= 8
      bytes[offset++] = bits >> held
      bits &= (1 << held) - 1
    }
  }
  if (bits !== 0 || held >= 6) throw new SwarmError('MALFORMED', `a base64url text of ${text.length} characters is cut short`)
  return bytes
}
