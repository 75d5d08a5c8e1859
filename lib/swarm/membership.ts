/**
 * Which swarm a peer belongs to, and as what. `local`: this user's own, on this machine. `made`: one that somebody made with
 * `init`, and that this peer made or was let into; a data folder that belongs to one belongs to no other.
 */
import { loadKey } from '#keystore'
import { loadKept, saveKept } from '#kept'
import { mintGrant, swarmIdOf, verifyGrant, type Grant, type Role } from '../access/grant.ts'
import type { Membership } from '../access/hello.ts'
import type { Inviter, Ticket } from '../access/ticket.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError, assert } from '../base/error.ts'
import type { PrivateKey } from '../identity/key.ts'
import type { Kept } from './kept.ts'
import type { SwarmKind } from './reach.ts'

/** The key of a swarm, in the data folders of those who may let others in. */
export function swarmKeyPath (dir: string): string {
  return `${dir}/swarm.key`
}

/** A membership that can be renewed. */
export class Belonging implements Membership {
  readonly kind: SwarmKind
  readonly swarmId: string
  readonly swarmPublicKey: Uint8Array
  readonly name: string
  /** Only who has it may let others in. */
  readonly swarmKey: PrivateKey | undefined
  /** Who let this peer in: to be kept connected. */
  readonly inviters: readonly Inviter[]
  /** To compare aloud; null in the user's own swarm, of which there is nobody to ask. */
  readonly words: string | null
  readonly #dir: string | undefined
  #grant: string
  #terms: Grant

  /** @param facts.terms what the grant says, verified */
  constructor (facts: {
    readonly kind: SwarmKind
    readonly swarmPublicKey: Uint8Array
    readonly name: string
    readonly grant: string
    readonly terms: Grant
    readonly swarmKey?: PrivateKey
    readonly inviters?: readonly Inviter[]
    readonly words?: string
    readonly dir?: string
  }) {
    this.kind = facts.kind
    this.swarmPublicKey = facts.swarmPublicKey
    this.swarmId = swarmIdOf(facts.swarmPublicKey)
    this.name = facts.name
    this.swarmKey = facts.swarmKey
    this.inviters = facts.inviters ?? []
    this.words = facts.words ?? null
    this.#dir = facts.dir
    this.#grant = facts.grant
    this.#terms = facts.terms
  }

  /** Our own, as it is now. */
  get grant (): string {
    return this.#grant
  }

  get role (): Role {
    return this.#terms.role
  }

  /** What the grant says. */
  get terms (): Grant {
    return this.#terms
  }

  /** Shows another grant from now on, once it is kept. @throws SwarmError FOLDER_UNUSABLE */
  async renew (grant: string, terms: Grant): Promise<void> {
    if (this.#dir !== undefined) await saveKept(this.#dir, { swarmPublicKey: this.swarmPublicKey, grant, inviters: this.inviters })
    this.#grant = grant
    this.#terms = terms
  }
}

/** What a data folder says of the swarm it belongs to. */
export interface Found {
  readonly kept: Kept
  /** Undefined if the grant has ended. */
  readonly terms: Grant | undefined
  /** Why it does not count. */
  readonly error: SwarmError | undefined
  readonly swarmKey: PrivateKey | undefined
}

/**
 * Reads what a folder keeps; undefined for one of the user's own swarm.
 *
 * @param peerId its peer
 * @throws SwarmError FOLDER_UNUSABLE, KEY_EXPOSED, KEY_INVALID, VERSION_UNSUPPORTED; NOT_ADMITTED if its grant is not for this peer
 */
export async function findKept (dir: string, peerId: string, clock: Clock): Promise<Found | undefined> {
  const kept = await loadKept(dir)
  if (kept === undefined) return undefined
  const key = await loadKey(swarmKeyPath(dir))
  const swarmKey = key !== undefined && swarmIdOf(key.publicKey) === swarmIdOf(kept.swarmPublicKey) ? key : undefined
  try {
    return { kept, swarmKey, terms: verifyGrant(kept.grant, kept.swarmPublicKey, peerId, clock.wallMs()), error: undefined }
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    const { reason } = error.details
    if (reason === 'expired' || reason === 'early') return { kept, swarmKey, terms: undefined, error }
    throw new SwarmError('NOT_ADMITTED', `the grant in ${dir} is not this peer's: ${error.message}. Put back the backup of all of the folder, or use another`, { cause: error, details: { reason } })
  }
}

/** Whether a ticket is of use to a folder: of another swarm it is refused, and without need it is not used. @throws SwarmError SWARM_EXISTS */
export function needsTicket (found: Found | undefined, ticket: Ticket, dir: string | undefined): boolean {
  if (found === undefined) return true
  const [ours, theirs] = [swarmIdOf(found.kept.swarmPublicKey), swarmIdOf(ticket.swarmPublicKey)]
  if (ours !== theirs) {
    throw new SwarmError('SWARM_EXISTS', `the folder ${dir} belongs to swarm ${ours}, and this ticket is of swarm ${theirs}. Join in a folder of its own: --dir FOLDER`, { details: { dir, swarm: ours, ticketSwarm: theirs } })
  }
  return found.terms === undefined || (ticket.terms.role === 'admin' && found.swarmKey === undefined)
}

/** The membership of a folder that belongs to a made swarm. @throws SwarmError NOT_ADMITTED if its grant has ended */
export async function belongAs (found: Found, name: string, dir: string, { peerId, clock }: { peerId: string, clock: Clock }): Promise<Belonging> {
  const { kept, swarmKey, error } = found
  let { grant, terms } = { grant: kept.grant, terms: found.terms }
  if (terms === undefined && swarmKey !== undefined) { // whoever has the swarm's key grants itself
    grant = mintGrant(swarmKey, { peerId, role: 'admin', issuedAtMs: Math.floor(clock.wallMs()), memberUntilMs: null })
    terms = verifyGrant(grant, kept.swarmPublicKey, peerId, clock.wallMs())
    await saveKept(dir, { ...kept, grant })
  }
  if (terms === undefined) {
    assert(error !== undefined, 'a grant without terms has been refused')
    throw new SwarmError('NOT_ADMITTED', `the membership in ${dir} does not count: ${error.message}`, { cause: error, details: { reason: error.details['reason'] } })
  }
  return await made({ name, dir, grant, terms, swarmPublicKey: kept.swarmPublicKey, inviters: kept.inviters, swarmKey })
}

/** A membership of a made swarm, with its words. */
export async function made (facts: Omit<ConstructorParameters<typeof Belonging>[0], 'kind' | 'words'>): Promise<Belonging> {
  const { wordsOf } = await import('../access/words.ts') // a list of words, of no use to most peers of one user
  return new Belonging({ ...facts, kind: 'made', words: wordsOf(facts.swarmPublicKey) })
}
