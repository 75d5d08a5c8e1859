/** What came from a neighbour and waits for gossipsub to take it. */

/** Bytes waiting above which the stream is held back, and with it the neighbour. */
export const INLET_BYTES_MAX = 2 ** 20

export class Inlet {
  readonly #hold: (isHeld: boolean) => void
  #frames: Uint8Array[] = []
  #bytes = 0
  #isHeld = false
  #isEnded = false
  #take: ((frame: Uint8Array) => Promise<void>) | undefined
  #isTaking = false

  /** @param hold told when to hold the neighbour back, and when to let it go on */
  constructor (hold: (isHeld: boolean) => void) {
    this.#hold = hold
  }

  /** A frame that finds nothing before it is taken here and now. */
  put (frame: Uint8Array): void {
    if (this.#isEnded) return
    this.#frames.push(frame)
    this.#bytes += frame.byteLength
    if (!this.#isHeld && this.#bytes > INLET_BYTES_MAX) this.#setHeld(true)
    void this.#flow()
  }

  /** From now on frames are taken, one after the other. @param take never rejects */
  read (take: (frame: Uint8Array) => Promise<void>): void {
    this.#take = take
    void this.#flow()
  }

  /** Nothing more comes; what waits is dropped. */
  end (): void {
    this.#isEnded = true
    this.#frames = []
  }

  async #flow (): Promise<void> {
    if (this.#take === undefined || this.#isTaking) return
    this.#isTaking = true
    while (this.#frames.length > 0) {
      const frames = this.#frames
      this.#frames = []
      for (const frame of frames) {
        await this.#take(frame)
        if (this.#isEnded) return
        this.#bytes -= frame.byteLength
      }
      if (this.#isHeld && this.#bytes <= INLET_BYTES_MAX / 2) this.#setHeld(false)
    }
    this.#isTaking = false
  }

  #setHeld (isHeld: boolean): void {
    this.#isHeld = isHeld
    this.#hold(isHeld)
  }
}
