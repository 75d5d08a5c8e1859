/** Reading and writing of what goes over the wire: unsigned varints as Yjs has them (7 bits a byte, lowest first), and bytes behind their count. */
import { isAscii, textOf, utf8 } from '../lib/base/bytes.ts'
import { SwarmError, assert } from '../lib/base/error.ts'

/** Texts looked at by hand: of longer ones a decoder is quicker. */
const PASSED_BYTES = 512

/** Reads bytes from outside; every method throws SwarmError MALFORMED where they are cut short or over a bound. */
export class Reader {
  readonly bytes: Uint8Array
  readonly #what: string
  at = 0

  /** @param what named in errors */
  constructor (bytes: Uint8Array, what: string) {
    this.bytes = bytes
    this.#what = what
  }

  get left (): number {
    return this.bytes.byteLength - this.at
  }

  byte (): number {
    const byte = this.bytes[this.at]
    if (byte === undefined) throw this.malformed('is cut short')
    this.at++
    return byte
  }

  /** A whole number up to `max`, at most Number.MAX_SAFE_INTEGER. */
  count (max = Number.MAX_SAFE_INTEGER): number {
    let byte = this.byte()
    if (byte < 128) return byte <= max ? byte : this.#over(byte, max)
    let [value, unit] = [byte & 127, 128]
    do {
      byte = this.byte()
      value += (byte & 127) * unit
      unit *= 128
      if (value > Number.MAX_SAFE_INTEGER) throw this.malformed('holds a number over 2^53')
    } while (byte >= 128)
    return value <= max ? value : this.#over(value, max)
  }

  /** A view on the next bytes. */
  take (count: number): Uint8Array {
    if (count > this.left) throw this.malformed('is cut short')
    this.at += count
    return this.bytes.subarray(this.at - count, this.at)
  }

  /** A view on bytes that stand behind their count. */
  block (bytesMax = Number.MAX_SAFE_INTEGER): Uint8Array {
    return this.take(this.count(bytesMax))
  }

  text (bytesMax = Number.MAX_SAFE_INTEGER): string {
    return textOf(this.block(bytesMax))
  }

  /** Passes over a text that stands behind its count. @returns its length, in characters of 16 bits as JavaScript counts them */
  passText (): number {
    const count = this.count()
    if (count > this.left) throw this.malformed('is cut short')
    const start = this.at
    this.at += count
    return count <= PASSED_BYTES && isAscii(this.bytes, start, this.at) ? count : textOf(this.bytes.subarray(start, this.at)).length
  }

  /** Nothing may follow. */
  end (): void {
    if (this.left > 0) throw this.malformed(`has ${this.left} bytes too many`)
  }

  malformed (why: string): SwarmError {
    return new SwarmError('MALFORMED', `${this.#what} ${why}`)
  }

  #over (value: number, max: number): never {
    throw this.malformed(`says ${value} where at most ${max} is allowed`)
  }
}

/** Texts written by hand: their count then fits one byte. */
const SHORT_CHARS = 64

/** Grows as it is written to. */
export class Writer {
  #bytes = new Uint8Array(64)
  #length = 0

  byte (byte: number): this {
    this.#room(1)
    this.#bytes[this.#length++] = byte
    return this
  }

  /** @param value 0 to Number.MAX_SAFE_INTEGER */
  count (value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, `${value} is no count`)
    this.#room(8)
    while (value > 127) {
      this.#bytes[this.#length++] = value % 128 + 128
      value = Math.floor(value / 128)
    }
    this.#bytes[this.#length++] = value
    return this
  }

  /** Copies the bytes. */
  put (bytes: Uint8Array): this {
    this.#room(bytes.byteLength)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.byteLength
    return this
  }

  block (bytes: Uint8Array): this {
    return this.count(bytes.byteLength).put(bytes)
  }

  /** A short text of ASCII, as keys are, is written by hand: an encoder's call costs several times as much. */
  text (text: string): this {
    if (text.length > SHORT_CHARS) return this.block(utf8(text))
    this.#room(text.length + 1)
    const start = this.#length
    this.#bytes[this.#length++] = text.length
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      if (code > 127) {
        this.#length = start
        return this.block(utf8(text))
      }
      this.#bytes[this.#length++] = code
    }
    return this
  }

  get length (): number {
    return this.#length
  }

  /** A copy of what was written. */
  bytes (): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  /** A view on what was written, good until more is. */
  view (): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Begins anew, in the same memory. */
  clear (): this {
    this.#length = 0
    return this
  }

  #room (count: number): void {
    if (this.#length + count <= this.#bytes.byteLength) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.byteLength, this.#length + count))
    larger.set(this.#bytes)
    this.#bytes = larger
  }
}

/** Bytes of hexadecimal digits, which are ours: their number is even. */
export function fromHex (digits: string): Uint8Array {
  return Uint8Array.from({ length: digits.length / 2 }, (_, index) => Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16))
}
