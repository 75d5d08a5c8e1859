/**
 * Keeps a membership that has an end from ending: from the middle of its time on, any admin that is linked is asked to prolong
 * it, until one does. Whoever has the swarm's key prolongs its own, and that of others who ask.
 */
import { verifyGrant } from '../access/grant.ts'
import { answerRenewal, askRenewal, prolong, renewProtocol } from '../access/renew.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { Connection, Network } from '../base/network.ts'
import type { Belonging } from './membership.ts'

/** The clock is looked at again at least this often, in milliseconds: it may be set, and admins come and go. */
export const RENEW_LOOK_MS = 60_000

export interface RenewingOptions {
  readonly belonging: Belonging
  readonly network: Network
  readonly clock: Clock
  /** Connections to linked admins. */
  readonly admins: () => readonly Connection[]
  /** Another grant is ours: whoever is connected is to see it. */
  readonly onRenewed: () => void
  readonly onTrouble: (error: SwarmError | undefined) => void
}

export class Renewing {
  readonly #options: RenewingOptions
  readonly #closing = new AbortController()
  #cancel = (): void => undefined
  #asking: Promise<void> | undefined

  constructor (options: RenewingOptions) {
    this.#options = options
  }

  /** Called once. */
  open (): void {
    const { belonging: { kind, swarmId, swarmKey }, network, clock } = this.#options
    if (kind === 'local') return
    if (swarmKey !== undefined) {
      network.handle(renewProtocol(swarmId), async (stream, connection) => { await answerRenewal(stream, connection, swarmKey, clock) }, { streamsMax: 1 })
    }
    this.#look()
  }

  /** An admin may be linked that was not. */
  begin (): void {
    if (this.#isDue()) this.#ask()
  }

  async close (): Promise<void> {
    this.#closing.abort(new SwarmError('CLOSED', 'the swarm is closed'))
    this.#cancel()
    await this.#asking
  }

  #look (): void {
    if (this.#closing.signal.aborted || this.#options.belonging.terms.memberUntilMs === null) return
    this.#cancel = this.#options.clock.after(RENEW_LOOK_MS, () => { this.#look() })
    if (this.#isDue()) this.#ask()
  }

  #isDue (): boolean {
    const { belonging: { kind, terms: { issuedAtMs, memberUntilMs } }, clock } = this.#options
    return kind === 'made' && memberUntilMs !== null && clock.wallMs() >= (issuedAtMs + memberUntilMs) / 2
  }

  #ask (): void {
    this.#asking ??= this.#renew().finally(() => { this.#asking = undefined })
  }

  async #renew (): Promise<void> {
    const { belonging, clock, admins, onRenewed, onTrouble } = this.#options
    const { swarmKey, swarmPublicKey, terms: { peerId, memberUntilMs } } = belonging
    const failures: string[] = []
    const take = async (renewal: () => Promise<string> | string): Promise<boolean> => {
      try {
        const grant = await renewal()
        await belonging.renew(grant, verifyGrant(grant, swarmPublicKey, peerId, clock.wallMs()))
        return true
      } catch (error) {
        if (!(error instanceof SwarmError)) throw error
        failures.push(messageOf(error))
        return false
      }
    }
    let isRenewed = swarmKey !== undefined && await take(() => prolong(swarmKey, belonging.terms, clock.wallMs()))
    for (const connection of swarmKey === undefined ? admins() : []) {
      if (isRenewed || this.#closing.signal.aborted) break
      isRenewed = await take(async () => (await askRenewal(connection, belonging, clock, this.#closing.signal)).grant)
    }
    if (this.#closing.signal.aborted) return
    if (isRenewed) {
      onTrouble(undefined)
      return onRenewed()
    }
    const why = failures.length === 0 ? 'no admin is connected' : failures.join('; ')
    onTrouble(new SwarmError('NOT_ADMITTED', `the membership of this peer ends at ${new Date(memberUntilMs ?? 0).toISOString()}, and could not be renewed: ${why}`, { details: { memberUntilMs } }))
  }
}
