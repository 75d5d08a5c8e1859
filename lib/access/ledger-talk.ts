/**
 * How two ledgers become one: the peers at both ends of a stream have the swarm's key, so each believes the other.
 *
 * Each sends a digest of its ledger, and all of its uses where the other's digest differs; from then on whatever is new
 * to it, whoever it heard it from. What is known already is not passed on, so it comes to rest.
 */
import { LEDGER_USES_MAX, readUse, writeUse, type Ledger, type Use } from './ledger.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { parseObject } from '../base/json.ts'
import { LineStream } from '../base/line.ts'
import type { ByteStream } from '../base/network.ts'

/** Uses in one line, and its longest length in bytes. */
export const LINE_USES_MAX = 64
export const LEDGER_LINE_BYTES_MAX = 16 * 2 ** 10

/** Uses taken from one stream: more than any ledger holds. */
export const TAKEN_MAX = 2 * LEDGER_USES_MAX

export function ledgerProtocol (swarmId: string): string {
  return `/mcp-swarm/${swarmId}/ledger/1.0.0`
}

export class LedgerTalk {
  readonly #lines: LineStream
  readonly #ledger: Ledger
  readonly #clock: Clock
  readonly #onEnd: () => void
  readonly #stopTelling: () => void
  #taken = 0

  constructor (stream: ByteStream, ledger: Ledger, { clock, onEnd }: { readonly clock: Clock, readonly onEnd: () => void }) {
    this.#ledger = ledger
    this.#clock = clock
    this.#onEnd = onEnd
    this.#lines = new LineStream(stream, { lineBytesMax: LEDGER_LINE_BYTES_MAX })
    this.#stopTelling = ledger.onAdded(({ uses, from }) => { if (from !== this) this.#tell(uses) })
    this.#lines.read({
      line: text => { this.#hear(text) },
      closed: () => {
        this.#stopTelling()
        this.#onEnd()
      }
    })
    this.#say({ digest: ledger.digest() })
  }

  close (): void {
    this.#stopTelling()
    void this.#lines.end()
  }

  #hear (text: string): void {
    const { digest, uses } = parseObject(text, 'a line of a ledger')
    if (typeof digest === 'string' && digest !== this.#ledger.digest()) this.#tell(this.#ledger.all())
    if (uses === undefined) return
    const nowMs = this.#clock.wallMs()
    const read = Array.isArray(uses) && uses.length <= LINE_USES_MAX ? uses.map(use => readUse(use, nowMs)) : [undefined]
    const known = read.filter(use => use !== undefined)
    if (known.length < read.length) throw new SwarmError('MALFORMED', 'a line of a ledger with what is no use')
    this.#taken += known.length
    if (this.#taken > TAKEN_MAX) throw new SwarmError('OVERLOADED', `more than ${TAKEN_MAX} uses on one stream`)
    // A disk that fails costs only that the same is heard again, at the next meeting.
    this.#ledger.merge(known, this).catch((error: unknown) => { this.#lines.abort(error instanceof Error ? error : new Error(String(error))) })
  }

  #tell (uses: readonly Use[]): void {
    for (let start = 0; start < uses.length; start += LINE_USES_MAX) this.#say({ uses: uses.slice(start, start + LINE_USES_MAX).map(writeUse) })
  }

  #say (line: object): void {
    if (this.#lines.isClosed) return
    try {
      this.#lines.send(JSON.stringify(line))
    } catch (error) {
      this.#lines.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }
}
