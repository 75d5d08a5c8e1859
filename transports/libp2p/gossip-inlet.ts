/** What came from a neighbour and waits for gossipsub to take it, as gossipsub reads a stream. */

/** Bytes waiting above which the stream is held back, and with it the neighbour. */
export const INLET_BYTES_MAX = 2 ** 20

export class Inlet implements AsyncIterable<Uint8Array> {
  readonly #hold: (isHeld: boolean) => void
  #frames: Uint8Array[] = []
  #bytes = 0
  #isHeld = false
  #isEnded = false
  #wake: (() => void) | undefined

  /** @param hold told when to hold the neighbour back, and when to let it go on */
  constructor (hold: (isHeld: boolean) => void) {
    this.#hold = hold
  }

  put (frame: Uint8Array): void {
    if (this.#isEnded) return
    this.#frames.push(frame)
    this.#bytes += frame.byteLength
    if (!this.#isHeld && this.#bytes > INLET_BYTES_MAX) this.#setHeld(true)
    this.#wake?.()
  }

  /** Nothing more comes; what waits is dropped. */
  end (): void {
    this.#isEnded = true
    this.#frames = []
    this.#wake?.()
  }

  async * [Symbol.asyncIterator] (): AsyncGenerator<Uint8Array> {
    while (!this.#isEnded) {
      const frames = this.#frames
      this.#frames = []
      for (const frame of frames) {
        if (this.#isEnded) return
        yield frame
        this.#bytes -= frame.byteLength
      }
      if (this.#isHeld && this.#bytes <= INLET_BYTES_MAX / 2) this.#setHeld(false)
      if (this.#frames.length > 0 || this.#isEnded) continue
      await new Promise<void>(resolve => { this.#wake = resolve })
      this.#wake = undefined
    }
  }

  #setHeld (isHeld: boolean): void {
    this.#isHeld = isHeld
    this.#hold(isHeld)
  }
}
