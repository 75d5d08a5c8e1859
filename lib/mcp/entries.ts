/**
 * What a gateway gives names to: each thing on offer once, with whom it may be asked of.
 *
 * What agents of one pool define alike is one entry; where their definitions differ, those of the most members speak for
 * the pool, and each of the others for itself.
 */
import type { JsonObject } from '../base/json.ts'
import { toolHash, type ToolDefinition } from '../directory/catalogue.ts'
import type { Offering } from '../directory/directory.ts'
import type { Target } from './view.ts'

/** An agent with all that it offers, as a gateway needs to know it. */
export interface Offered extends Omit<Offering, 'absentMs'> {
  /** Since when it is not available, in milliseconds since the epoch, where that is known. */
  readonly sinceMs?: number
}

/** One agent of one peer, with one thing that it defines. */
interface Member<Definition> {
  readonly offering: Offered
  readonly definition: Definition
}

/** What one name stands for: a thing of one agent, or of a pool. */
export interface Entry<Definition = JsonObject> {
  /** Whose thing it is, for as long as it is: what a name is bound to. Tells a peer by its id, which is its key. */
  readonly key: string
  /** As its agent names it. */
  readonly name: string
  readonly definition: Definition
  /** The agent's name, or the pool's. */
  readonly label: string
  /** Who has that label: two of one label need the peer's name too. */
  readonly owner: string
  /** Of a pool there is none. */
  readonly peerName: string | undefined
  readonly target: Target
}

/** @param definitionsOf what an agent offers of the kind; @param nameOf the member that names it there */
export function gather<Definition extends object> (
  offerings: readonly Offered[], definitionsOf: (offering: Offered) => readonly Definition[] | undefined, nameOf: (definition: Definition) => string
): Entry<Definition>[] {
  const entries: Entry<Definition>[] = []
  const pools = new Map<string, Map<string, Member<Definition>[]>>()
  for (const offering of inOrder(offerings)) {
    for (const definition of [...definitionsOf(offering) ?? []].sort((left, right) => nameOf(left) < nameOf(right) ? -1 : 1)) {
      const { agent: { pool } } = offering
      if (pool === undefined) {
        entries.push(alone({ offering, definition }, nameOf))
        continue
      }
      const key = keyOf('pool', pool, nameOf(definition))
      const versions = pools.get(key) ?? new Map<string, Member<Definition>[]>()
      pools.set(key, versions)
      const hash = hashOf(definition)
      versions.set(hash, [...versions.get(hash) ?? [], { offering, definition }])
    }
  }
  for (const [key, versions] of pools) {
    const [pooled, ...others] = [...versions].sort(([leftHash, left], [rightHash, right]) =>
      right.length - left.length || (leftHash < rightHash ? -1 : 1)).map(([, members]) => members) as [Member<Definition>[], ...Member<Definition>[][]]
    const [{ definition, offering: { agent } }] = pooled as [Member<Definition>, ...Member<Definition>[]]
    const pool = agent.pool as string
    entries.push({
      key, name: nameOf(definition), definition, label: pool, owner: keyOf('pool', pool), peerName: undefined, target: targetOf(pooled.map(({ offering }) => offering), pool)
    })
    for (const member of others.flat()) entries.push(alone(member, nameOf))
  }
  return entries.sort((left, right) => left.key < right.key ? -1 : 1) // mostly they are in that order by now
}

/** What an agent's own things are made into, for as long as it is the same: one agent that changes shall not cost the others'. */
const entriesOf = new WeakMap<Offered, WeakMap<object, Entry<never>>>()

function alone<Definition extends object> ({ offering, definition }: Member<Definition>, nameOf: (definition: Definition) => string): Entry<Definition> {
  const made = entriesOf.get(offering) ?? new WeakMap<object, Entry<never>>()
  const known = made.get(definition) as Entry<Definition> | undefined
  if (known !== undefined) return known
  const { peerId, peerName, agent } = offering
  const name = nameOf(definition)
  const entry: Entry<Definition> = {
    key: keyOf('peer', peerId, agent.name, name), name, definition, label: agent.name, owner: keyOf('peer', peerId, agent.name), peerName, target: targetOf([offering])
  }
  entriesOf.set(offering, made.set(definition, entry as Entry<never>))
  return entry
}

const NONE: JsonObject = {}

const alones = new WeakMap<Offered, Target>()

/** @param offerings not empty; of several the first stands for all */
export function targetOf (offerings: readonly Offered[], pool?: string): Target {
  const [first] = offerings as [Offered, ...Offered[]]
  const known = pool === undefined ? alones.get(first) : undefined
  if (known !== undefined) return known
  const { agent, peerId, peerName, catalogue, reason, sinceMs } = first
  const available = offerings.some(offering => offering.available)
  const target: Target = {
    agent: agent.name,
    peerId,
    peerName,
    ...pool !== undefined && { pool },
    available,
    ...!available && reason !== undefined && { reason },
    ...!available && sinceMs !== undefined && { sinceMs },
    capabilities: catalogue?.capabilities ?? NONE,
    session: catalogue?.session ?? 'shared'
  }
  if (pool === undefined) alones.set(first, target)
  return target
}

/** Names may hold anything but control characters, and these keep their parts apart. */
export function keyOf (...parts: readonly string[]): string {
  return parts.join('\n')
}

/** Those whose catalogue is known, in order of peer id and agent. */
export function inOrder (offerings: readonly Offered[]): Offered[] {
  return offerings.filter(({ catalogue }) => catalogue !== undefined)
    .map(offering => ({ offering, key: keyOf(offering.peerId, offering.agent.name) }))
    .sort((left, right) => left.key < right.key ? -1 : 1)
    .map(({ offering }) => offering)
}

const hashes = new WeakMap<object, string>()

/** A catalogue's definitions are the same objects for as long as it is held: each is hashed once. */
function hashOf (definition: object): string {
  const hash = hashes.get(definition) ?? toolHash(definition as ToolDefinition)
  hashes.set(definition, hash)
  return hash
}
