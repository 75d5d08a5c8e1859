/**
 * Which provider serves a call. Two agents with an equal tool are not replicas: `write_file` on one disk is not
 * `write_file` on another. Only agents that declare one pool, and whose tool has one definition hash, may stand in for each
 * other; every other agent is a group of its own. A call is sent only when its query names exactly one group.
 *
 * Invariants: a choice never holds providers of two groups; a group counts for ambiguity even while it is unavailable, or
 * the same call would mean one thing today and another when a peer is down; while anyone in the group is available, the
 * order is never empty.
 */
import { SwarmError, assert } from '../base/error.ts'
import type { Random } from '../base/random.ts'
import type { Provider } from '../directory/directory.ts'
import type { ToolDefinition } from '../directory/catalogue.ts'
import type { Breaker } from './breaker.ts'
import { nearestNames, suggestion } from './suggest.ts'

/** Providers tried for one call at most: the first, and two more. */
export const ATTEMPTS_MAX = 3

/** Choices listed in the details of an error; its message names the first CHOICES_NAMED. */
export const CHOICES_MAX = 20
const CHOICES_NAMED = 5

export interface Query {
  readonly tool: string
  /** An agent's name. */
  readonly agent?: string | undefined
  /** A peer's id, or its name. */
  readonly peer?: string | undefined
}

/** What lives in the swarm: read only to say what was meant by a name that fits nothing. */
export interface Living {
  tools (): Iterable<string>
  peers (): Iterable<{ readonly peerId: string, readonly name: string, readonly agents: readonly string[] }>
}

export interface Circumstances {
  readonly nowMs: number
  readonly random: Random
  readonly living: Living
  /** Calls in flight from here to a provider. */
  readonly loads: (provider: Provider) => number
  readonly breaker?: Breaker | undefined
  /** Since when a provider is unavailable, on the same clock as `nowMs`, where that is known. */
  readonly since?: ((provider: Provider) => number | undefined) | undefined
}

export interface Choice {
  readonly tool: string
  /** Undefined: one agent alone, nobody stands in for it. */
  readonly pool: string | undefined
  readonly idempotent: boolean
  /** In the order to try them; 1 to ATTEMPTS_MAX, all of one group. */
  readonly order: readonly Provider[]
}

/** One of those that offer a tool, as listed in `details.choices`. */
export interface NamedChoice {
  readonly peer: string
  readonly peerId: string
  readonly agent: string
  readonly pool: string | undefined
  readonly toolHash: string
  /** What to add to an ambiguous query to mean this one. */
  readonly add?: { readonly agent?: string, readonly peer?: string }
}

/**
 * Chooses whom to ask, least loaded first. A local agent is a candidate like any other: the load decides.
 *
 * @param providers every living provider of `query.tool`, not filtered by agent or peer
 * @throws SwarmError UNKNOWN_PEER, UNKNOWN_AGENT, UNKNOWN_TOOL (`details.nearest`), AMBIGUOUS (`details.choices`, `details.total`),
 * UNAVAILABLE (`details.providers`: who, why, for how long); `details.sent` is always false
 */
export function choose (providers: readonly Provider[], query: Query, circumstances: Circumstances): Choice {
  const matching = query.agent === undefined && query.peer === undefined
    ? providers
    : providers.filter(provider => matches(provider, query))
  const [first] = matching
  if (first === undefined) throw unknown(providers, query, circumstances.living)
  if (!matching.every(provider => provider === first || isInterchangeable(provider, first))) throw ambiguous(matching, query)
  const available = matching.filter(provider => provider.available)
  if (available.length === 0) throw unavailable(matching, query, circumstances)
  return {
    tool: query.tool,
    pool: first.agent.pool,
    idempotent: isIdempotent(first.tool),
    order: order(available, circumstances)
  }
}

/** Whether calling the tool twice is as good as once, by its own word (MCP tool annotations). */
export function isIdempotent (tool: ToolDefinition): boolean {
  return tool.annotations?.['idempotentHint'] === true || tool.annotations?.['readOnlyHint'] === true
}

/** The key of a provider in a Breaker. */
export function providerKey (provider: Provider): string {
  return `${provider.peerId}/${provider.agent.name}`
}

/** Whether either may stand in for the other. */
export function isInterchangeable (left: Provider, right: Provider): boolean {
  return left.agent.pool !== undefined && left.agent.pool === right.agent.pool && left.toolHash === right.toolHash
}

/**
 * Up to ATTEMPTS_MAX providers: those that have not just failed first, each drawn as the less loaded of two random ones.
 * Source: Mitzenmacher, "The Power of Two Choices", IEEE TPDS 12(10), 2001.
 */
function order (available: readonly Provider[], { breaker, loads, nowMs, random }: Circumstances): Provider[] {
  if (available.length === 1) return [...available]
  const isFailing = (provider: Provider): boolean => breaker !== undefined && breaker.size > 0 && !breaker.admits(providerKey(provider), nowMs)
  const [sound, failing]: [Provider[], Provider[]] = [[], []]
  for (const provider of available) (isFailing(provider) ? failing : sound).push(provider)
  const ordered: Provider[] = []
  for (const candidates of [sound, failing]) {
    while (candidates.length > 0 && ordered.length < ATTEMPTS_MAX) ordered.push(drawLessLoaded(candidates, loads, random))
  }
  return ordered
}

/** Takes one out of the candidates, which are not empty. */
function drawLessLoaded (candidates: Provider[], loads: (provider: Provider) => number, random: Random): Provider {
  const first = Math.floor(random.next() * candidates.length)
  let second = Math.floor(random.next() * (candidates.length - 1))
  if (second >= first) second++
  const [left, right] = [candidates[first], candidates[second]]
  assert(left !== undefined, 'a draw needs a candidate')
  const chosen = right === undefined || loads(left) <= loads(right) ? first : second
  const [drawn] = candidates.splice(chosen, 1)
  assert(drawn !== undefined, 'the drawn candidate is there')
  return drawn
}

function matches (provider: Provider, { agent, peer }: Query): boolean {
  return (agent === undefined || provider.agent.name === agent) && (peer === undefined || isPeer(provider.peerId, provider.peerName, peer))
}

/** A text that looks like a peer id means that peer alone: a peer may call itself anything, also by another's id. */
function isPeer (peerId: string, name: string, wanted: string): boolean {
  return peerId === wanted || (name === wanted && !/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.test(wanted))
}

function unknown (providers: readonly Provider[], query: Query, living: Living): SwarmError {
  const { tool, agent, peer } = query
  const peers = [...living.peers()]
  const named = peer === undefined ? peers : peers.filter(candidate => isPeer(candidate.peerId, candidate.name, peer))
  if (peer !== undefined && named.length === 0) {
    const nearest = nearestNames(peer, peers.map(candidate => candidate.name))
    return new SwarmError('UNKNOWN_PEER', `no living peer ${JSON.stringify(peer)}${suggestion(nearest)}`, { details: { peer, nearest, sent: false } })
  }
  const at = peer === undefined ? '' : ` at peer ${JSON.stringify(peer)}`
  if (agent !== undefined && !named.some(candidate => candidate.agents.includes(agent))) {
    const nearest = nearestNames(agent, namesOf(named))
    return new SwarmError('UNKNOWN_AGENT', `no living agent ${JSON.stringify(agent)}${at}${suggestion(nearest)}`, { details: { agent, peer, nearest, sent: false } })
  }
  const from = agent === undefined ? at : ` from agent ${JSON.stringify(agent)}${at}`
  const choices = providers.slice(0, CHOICES_MAX).map(nameChoice)
  const nearest = providers.length > 0 ? [] : nearestNames(tool, living.tools())
  const elsewhere = providers.length > 0 ? `; offered by ${listed(choices, providers.length)}` : suggestion(nearest)
  return new SwarmError('UNKNOWN_TOOL', `no living provider of tool ${JSON.stringify(tool)}${from}${elsewhere}`, { details: { tool, agent, peer, nearest, choices, sent: false } })
}

function ambiguous (matching: readonly Provider[], { tool }: Query): SwarmError {
  const groups = groupsOf(matching)
  const choices = groups.slice(0, CHOICES_MAX).map(([provider]) => ({ ...nameChoice(provider), add: addition(provider, matching) }))
  return new SwarmError('AMBIGUOUS', `tool ${JSON.stringify(tool)} has ${groups.length} providers that do not stand in for each other: ${listed(choices, groups.length)}`, {
    details: { tool, choices, total: groups.length, sent: false }
  })
}

function unavailable (matching: readonly Provider[], { tool }: Query, { nowMs, since }: Circumstances): SwarmError {
  const providers = matching.slice(0, CHOICES_MAX).map(provider => {
    const sinceMs = since?.(provider)
    return { ...nameChoice(provider), reason: provider.reason ?? provider.agent.reason ?? 'unavailable', forMs: sinceMs === undefined ? undefined : nowMs - sinceMs }
  })
  const reasons = providers.slice(0, CHOICES_NAMED).map(({ agent, forMs, peer, reason }) =>
    `agent ${JSON.stringify(agent)} at ${JSON.stringify(peer)}: ${JSON.stringify(reason)}${forMs === undefined ? '' : ` for ${Math.round(forMs / 1_000)} s`}`)
  return new SwarmError('UNAVAILABLE', `tool ${JSON.stringify(tool)} cannot be called now: ${reasons.join('; ')}${more(matching.length)}`, {
    details: { tool, providers, total: matching.length, sent: false }
  })
}

/** One list per group, each in the order given. */
function groupsOf (providers: readonly Provider[]): (readonly [Provider, ...Provider[]])[] {
  const groups = new Map<string, [Provider, ...Provider[]]>()
  for (const provider of providers) {
    const { agent, peerId, toolHash } = provider
    const key = JSON.stringify(agent.pool === undefined ? [peerId, agent.name] : [agent.pool, toolHash, 'pool'])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [provider])
    else group.push(provider)
  }
  return [...groups.values()]
}

function nameChoice ({ agent, peerId, peerName, toolHash }: Provider): NamedChoice {
  return { peer: peerName, peerId, agent: agent.name, pool: agent.pool, toolHash }
}

/** The shortest addition to the query that leaves only this provider's group: the agent, the peer, or both. */
function addition (provider: Provider, among: readonly Provider[]): { agent?: string, peer?: string } {
  const others = among.filter(other => other !== provider && !isInterchangeable(other, provider))
  const agent = provider.agent.name
  const nameIsEnough = among.every(other => isPeer(other.peerId, other.peerName, provider.peerName) === (other.peerId === provider.peerId))
  const peer = nameIsEnough ? provider.peerName : provider.peerId
  return [{ agent }, { peer }].find(query => !others.some(other => matches(other, { tool: '', ...query }))) ?? { agent, peer }
}

/** Names are quoted: they come from other peers. */
function listed (choices: readonly NamedChoice[], total: number): string {
  return choices.slice(0, CHOICES_NAMED).map(({ add, agent, peer, peerId, pool }) => {
    const inPool = pool === undefined ? '' : `, pool ${JSON.stringify(pool)}`
    const hint = add === undefined ? '' : `; add ${JSON.stringify(add)}`
    return `agent ${JSON.stringify(agent)} at ${JSON.stringify(peer)} (${peerId}${inPool}${hint})`
  }).join(', ') + more(total)
}

function more (total: number): string {
  return total > CHOICES_NAMED ? ` and ${total - CHOICES_NAMED} more` : ''
}

function namesOf (peers: Iterable<{ readonly agents: readonly string[] }>): string[] {
  return [...peers].flatMap(peer => peer.agents)
}
