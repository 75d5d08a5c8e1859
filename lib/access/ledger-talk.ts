/**
 * How two ledgers become one: the peers at both ends of a stream have the swarm's key, so each believes the other.
 *
 * Each sends a digest of its ledger, and all of its uses where the other's digest differs; from then on whatever is new
 * to it, whoever it heard it from. What is known already is not passed on, so it comes to rest. Before either counts a use it asks the
 * other for it (claims.ts).
 */
import { CLAIM_MS_MAX, type Claim, type Claims, type Rival } from './claims.ts'
import { LEDGER_USES_MAX, readClaim, readUse, writeUse, type Ledger, type Use } from './ledger.ts'
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

export class LedgerTalk implements Rival {
  readonly #lines: LineStream
  readonly #ledger: Ledger
  readonly #claims: Claims
  /** Claims that the other end has not answered yet. */
  readonly #asked = new Map<string, (promised: boolean) => void>()
  readonly #clock: Clock
  readonly #onEnd: () => void
  readonly #stopTelling: () => void
  #taken = 0

  constructor (stream: ByteStream, ledger: Ledger, claims: Claims, { clock, onEnd }: { readonly clock: Clock, readonly onEnd: () => void }) {
    this.#ledger = ledger
    this.#claims = claims
    this.#clock = clock
    this.#onEnd = onEnd
    this.#lines = new LineStream(stream, { lineBytesMax: LEDGER_LINE_BYTES_MAX })
    this.#stopTelling = ledger.onAdded(({ uses, from }) => { if (from !== this) this.#tell(uses) })
    this.#lines.read({
      line: text => { this.#hear(text) },
      closed: () => {
        this.#stopTelling()
        for (const settle of this.#asked.values()) settle(true)
        this.#onEnd()
      }
    })
    this.#say({ digest: ledger.digest() })
  }

  async claim (claim: Claim): Promise<boolean> {
    if (this.#lines.isClosed) return true
    return await new Promise<boolean>(resolve => {
      const name = nameOf(claim)
      const settle = (promised: boolean): void => {
        cancel()
        if (this.#asked.get(name) === settle) this.#asked.delete(name)
        resolve(promised)
      }
      const cancel = this.#clock.after(CLAIM_MS_MAX, () => { settle(true) })
      this.#asked.set(name, settle)
      this.#say({ claim: writeClaim(claim) })
    })
  }

  release (claim: Claim): void {
    this.#say({ release: writeClaim(claim) })
  }

  close (): void {
    this.#stopTelling()
    void this.#lines.end()
  }

  #hear (text: string): void {
    const { digest, uses, claim, claimed, release } = parseObject(text, 'a line of a ledger')
    if (claim !== undefined) return this.#answer(claimIn(claim))
    if (claimed !== undefined) return this.#answered(claimed)
    if (release !== undefined) return this.#claims.release(claimIn(release))
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

  #answer (claim: Claim): void {
    this.#say({ claimed: [...writeClaim(claim), this.#claims.promise(claim)] })
  }

  #answered (claimed: unknown): void {
    const promised = Array.isArray(claimed) ? claimed[3] as unknown : undefined
    if (typeof promised !== 'boolean') throw new SwarmError('MALFORMED', 'a line of a ledger with what answers no claim')
    this.#asked.get(nameOf(claimIn(claimed)))?.(promised)
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

function claimIn (value: unknown): Claim {
  const claim = readClaim(value)
  if (claim === undefined) throw new SwarmError('MALFORMED', 'a line of a ledger with what is no claim')
  return claim
}

function writeClaim ({ ticket, peerId, uses }: Claim): (string | number)[] {
  return [ticket, peerId, uses]
}

function nameOf ({ ticket, peerId }: Claim): string {
  return `${ticket}/${peerId}`
}
