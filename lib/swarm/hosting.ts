/**
 * What this peer offers: its agents and shared servers, who may use each, and the record that tells the swarm of them.
 *
 * Invariants: an agent is offered once it runs and until it stops; a shared server stays on the record while it is down,
 * marked unavailable, so that others can say why a call fails; changes of one turn make one record.
 */
import type { Rule } from '../access/rule.ts'
import { allows } from '../access/rule.ts'
import { afterTurn } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { catalogueHash, type Catalogue } from '../directory/catalogue.ts'
import type { AgentEntry } from '../directory/record.ts'
import type { Caller, HostedAgent } from '../mcp/host.ts'

/** `agent`: made here. `server`: an existing MCP server, offered unchanged. */
export type HostedKind = 'agent' | 'server'

/** Who is nobody in particular: what this one may see is for every member, and anyone may pass it on. */
const ANY_MEMBER: Caller = { peerId: '', role: 'member' }

export interface Hosted {
  readonly agent: HostedAgent
  readonly kind: HostedKind
  readonly rules: readonly Rule[]
}

export class Hosting {
  readonly #hosted = new Map<string, Hosted & { readonly stop: () => void }>()
  readonly #hashes = new WeakMap<Catalogue, string>()
  readonly #checkFits: (entries: readonly AgentEntry[]) => void
  readonly #onChange: () => void
  readonly #onRemoved: (name: string) => void
  #telling = false

  /**
   * @param checkFits throws SwarmError TOO_LARGE if this peer's record has no room for so much
   * @param onChange called after a turn in which what is offered changed
   * @param onRemoved called when an agent has been taken out
   */
  constructor (checkFits: (entries: readonly AgentEntry[]) => void, onChange: () => void, onRemoved: (name: string) => void) {
    this.#checkFits = checkFits
    this.#onChange = onChange
    this.#onRemoved = onRemoved
  }

  /** @throws SwarmError AGENT_EXISTS, TOO_LARGE with `details.fits` */
  add (agent: HostedAgent, kind: HostedKind, rules: readonly Rule[]): void {
    if (this.#hosted.has(agent.name)) {
      throw new SwarmError('AGENT_EXISTS', `this peer already hosts an agent named ${agent.name}`, { details: { agent: agent.name } })
    }
    this.#checkFits([...this.all().map(hosted => this.#entryOf(hosted)), this.#entryOf({ agent, rules })])
    const stop = agent.onChange(() => { this.#tell() })
    this.#hosted.set(agent.name, { agent, kind, rules, stop })
    this.#tell()
  }

  /** Says anew who may use an agent; it counts from the next call on. */
  setRules (name: string, rules: readonly Rule[]): void {
    const hosted = this.#hosted.get(name)
    if (hosted !== undefined) this.#hosted.set(name, { ...hosted, rules })
  }

  remove (name: string): void {
    const hosted = this.#hosted.get(name)
    if (hosted === undefined) return
    hosted.stop()
    this.#hosted.delete(name)
    this.#onRemoved(name)
    this.#tell()
  }

  get (name: string): Hosted | undefined {
    return this.#hosted.get(name)
  }

  all (): readonly Hosted[] {
    return [...this.#hosted.values()]
  }

  /** What the record says of the agents that are offered now. */
  entries (): AgentEntry[] {
    return this.all().filter(isOffered).map(hosted => this.#entryOf(hosted))
  }

  /** The catalogues behind `entries`, by hash. */
  catalogues (): Map<string, Catalogue> {
    return new Map(this.all().filter(isOffered).map(({ agent }) => [this.#hashOf(agent.catalogue), agent.catalogue]))
  }

  /** A catalogue's text, by hash, its members in the order their author gave them. */
  catalogueText (hash: string): string | undefined {
    const catalogue = this.catalogues().get(hash)
    return catalogue === undefined ? undefined : JSON.stringify(catalogue)
  }

  /** Whether a peer may read a catalogue: whoever may call one of the agents that have it. */
  mayRead (hash: string, who: Caller): boolean {
    return this.all().some(({ agent, rules }) => this.#hashOf(agent.catalogue) === hash && allows(rules, who))
  }

  /** Tells now of what has changed in this turn, rather than at its end. */
  settle (): void {
    if (!this.#telling) return
    this.#telling = false
    this.#onChange()
  }

  /** Ends every agent and server. */
  async close (): Promise<void> {
    const hosted = this.all()
    for (const { agent } of hosted) this.remove(agent.name)
    await Promise.allSettled(hosted.map(({ agent }) => agent.close()))
  }

  #entryOf ({ agent, rules }: Pick<Hosted, 'agent' | 'rules'>): AgentEntry {
    return {
      name: agent.name,
      role: agent.role,
      pool: agent.pool,
      description: agent.description,
      version: agent.version,
      catalogue: this.#hashOf(agent.catalogue),
      available: agent.availability.available,
      reason: agent.availability.available ? undefined : agent.availability.reason,
      restricted: allows(rules, ANY_MEMBER) ? undefined : true
    }
  }

  #tell (): void {
    if (this.#telling) return
    this.#telling = true
    afterTurn(() => { this.settle() })
  }

  #hashOf (catalogue: Catalogue): string {
    const hash = this.#hashes.get(catalogue) ?? catalogueHash(catalogue)
    this.#hashes.set(catalogue, hash)
    return hash
  }
}

function isOffered ({ agent, kind }: Hosted): boolean {
  return kind === 'server' || agent.availability.available
}
