/**
 * What a peer with the swarm's key does for those who are not in yet: makes tickets, lets in whoever shows one, and keeps count
 * with the other admins of who came.
 */
import { swarmIdOf } from '../access/grant.ts'
import type { Role } from '../access/grant.ts'
import { Claims } from '../access/claims.ts'
import { Ledger } from '../access/ledger.ts'
import { LedgerTalk, ledgerProtocol } from '../access/ledger-talk.ts'
import { answerRedemption, joinProtocol, type UseCounter } from '../access/redeem.ts'
import { writeTicket, type Inviter } from '../access/ticket.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError, type ErrorCode } from '../base/error.ts'
import type { ByteStream, Connection, Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import type { Storage } from '../base/storage.ts'
import { generateKey, type PrivateKey } from '../identity/key.ts'
import type { Belonging } from './membership.ts'
import { toldFirst } from './told.ts'

/** How long a ticket can be used unless told otherwise: a day, in milliseconds. */
export const EXPIRES_MS_DEFAULT = 24 * 3_600_000

export interface InviteOptions {
  /** What whoever comes becomes. Default `member`. An admin gets the key of the swarm, and may let others in. */
  readonly role?: Role
  /** How long the ticket can be used, in milliseconds: up to 90 days. Default a day. */
  readonly expiresMs?: number
  /** How many peers may come by it: 1 to 1,000. Default 1. */
  readonly uses?: number
  /** How long each of them stays a member without meeting an admin, who then prolongs it; an hour to ten years. Default: for ever. */
  readonly memberForMs?: number
}

/** A ticket, and what it says. */
export interface Invitation {
  /** One line to hand over: whoever has it may join. A secret. */
  readonly ticket: string
  readonly swarm: { readonly id: string, readonly words: string | null }
  readonly role: Role
  readonly uses: number
  /** Milliseconds since 1970 UTC. */
  readonly joinBeforeMs: number
  readonly memberForMs: number | null
  /** Whom the ticket names to be asked; without addresses, they have to be found. */
  readonly inviters: readonly Inviter[]
}

/**
 * Makes a ticket.
 *
 * @throws SwarmError NOT_ADMIN without the key of a made swarm, INVALID_OPTION
 */
export function invite (belonging: Belonging, inviters: readonly Inviter[], options: InviteOptions, { clock, random }: { clock: Clock, random: Random }): Invitation {
  const swarmKey = keyOf(belonging)
  const { role = 'member', expiresMs = EXPIRES_MS_DEFAULT, uses = 1, memberForMs = null } = options
  const issuedAtMs = Math.floor(clock.wallMs())
  const joinBeforeMs = issuedAtMs + expiresMs
  const ticket = writeTicket(swarmKey, generateKey(random), { role, uses, issuedAtMs, joinBeforeMs, memberForMs }, inviters)
  return { ticket, swarm: { id: swarmIdOf(swarmKey.publicKey), words: belonging.words }, role, uses, joinBeforeMs, memberForMs, inviters }
}

function keyOf ({ kind, swarmId, swarmKey }: Belonging): PrivateKey {
  if (kind === 'local') throw new SwarmError('NOT_ADMIN', 'nobody else can be let into this user\'s own swarm: make one first, with mcp-swarm init')
  if (swarmKey === undefined) throw new SwarmError('NOT_ADMIN', `this peer has not the key of swarm ${swarmId}: ask an admin for tickets`)
  return swarmKey
}

export interface InvitingOptions {
  readonly belonging: Belonging
  readonly network: Network
  readonly storage: Storage
  readonly clock: Clock
  readonly random: Random
  /** Who is at the other end of an admitted connection. */
  readonly callerOf: (connection: Connection) => { readonly role: Role } | undefined
  /** Admins that are linked, with their addresses. */
  readonly admins: () => readonly Inviter[]
  readonly onTrouble: (code: ErrorCode, message: string) => void
  /** Somebody showed no good ticket. */
  readonly onRefused: (connection: Connection, error: SwarmError) => void
}

export class Inviting {
  readonly #options: InvitingOptions
  readonly #ledger: Ledger
  readonly #claims: Claims
  readonly #talks = new Set<LedgerTalk>()
  #isOpen = false

  constructor (options: InvitingOptions) {
    this.#options = options
    const { storage, clock, onTrouble } = options
    this.#ledger = new Ledger({
      storage, clock,
      onOverused: (ticket, peers, uses) => {
        onTrouble('TICKET_USED', `a ticket for ${uses} let in ${peers}: admins who did not see each other each let somebody in. mcp-swarm peers shows who is there (ticket ${ticket.slice(0, 8)}…)`)
      }
    })
    this.#claims = new Claims({ clock, counted: ticket => this.#ledger.counted(ticket) })
  }

  /** Whether this peer lets others in. */
  get mayInvite (): boolean {
    const { kind, swarmKey } = this.#options.belonging
    return kind === 'made' && swarmKey !== undefined
  }

  /** Called once. @throws SwarmError FOLDER_UNUSABLE */
  async open (): Promise<void> {
    const { network, belonging: { swarmId } } = this.#options
    if (!this.mayInvite) return
    await this.#ledger.load()
    this.#isOpen = true
    network.handle(joinProtocol(swarmId), async (stream, connection) => { await this.#letIn(stream, connection) }, { beforeAdmission: true, streamsMax: 1 })
    network.handle(ledgerProtocol(swarmId), (stream, connection) => {
      if (this.#isAdmin(connection)) this.#compare(stream)
      else stream.abort(new SwarmError('FORBIDDEN', 'ledgers are the admins\''))
    }, { streamsMax: 2 })
  }

  /** A connection serves an admitted peer: among admins, whoever dialled compares ledgers. */
  begin (connection: Connection): void {
    if (!this.#isOpen || connection.direction !== 'outbound' || !this.#isAdmin(connection)) return
    const giveUp = new AbortController()
    connection.onClose(() => { giveUp.abort(new SwarmError('CLOSED', 'the connection was closed')) })
    connection.open(ledgerProtocol(this.#options.belonging.swarmId), giveUp.signal).then(
      stream => { this.#compare(stream) },
      (error: unknown) => { if (!(error instanceof SwarmError)) throw error } // it has no key, or is gone: the next link tries again
    )
  }

  /** @throws SwarmError NOT_ADMIN, INVALID_OPTION, UNAVAILABLE before this peer listens */
  invite (options: InviteOptions): Invitation {
    const { belonging, network, admins, clock, random } = this.#options
    const own = { peerId: network.peerId, addresses: toldFirst(network.addresses()) }
    return invite(belonging, [own, ...admins().filter(({ peerId }) => peerId !== own.peerId)], options, { clock, random })
  }

  close (): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    const { network, belonging: { swarmId } } = this.#options
    network.unhandle(joinProtocol(swarmId))
    network.unhandle(ledgerProtocol(swarmId))
    for (const talk of this.#talks) talk.close()
  }

  async #letIn (stream: ByteStream, connection: Connection): Promise<void> {
    const { belonging: { swarmKey }, network, clock, random, onRefused } = this.#options
    if (swarmKey === undefined) return
    const ledger: UseCounter = {
      use: async (terms, peerId) => await this.#claims.use(
        { ticket: terms.key, peerId, uses: terms.uses }, () => [...this.#talks], async () => await this.#ledger.use(terms, peerId))
    }
    const outcome = await answerRedemption(stream, connection, { swarmKey, ledger, clock, random, peerId: network.peerId })
    if (!(outcome instanceof SwarmError)) return
    onRefused(connection, outcome)
    if (connection.admitted) return
    // In order, so that the code leaves first; the transport bounds how long that may take.
    await connection.close().catch((cause: unknown) => { connection.abort(new SwarmError('NOT_ADMITTED', 'refused', { cause })) })
  }

  #compare (stream: ByteStream): void {
    const talk = new LedgerTalk(stream, this.#ledger, this.#claims, { clock: this.#options.clock, onEnd: () => { this.#talks.delete(talk) } })
    this.#talks.add(talk)
  }

  #isAdmin (connection: Connection): boolean {
    return this.#options.callerOf(connection)?.role === 'admin'
  }
}
