/**
 * The names under which a gateway shows the swarm's tools: a pure function of who offers what.
 *
 * Clients put their own prefix before a name and have limits of their own (64 characters at most, letters, digits, `_`, `-`),
 * so names are at most NAME_CHARS_MAX. Invariants: one name, one meaning; the same providers give the same names in whatever
 * order they come; a name that is bound to one provider is never given to another, also while that one is away.
 */
import { sha256 } from '#hash'
import { utf8 } from '../base/bytes.ts'
import type { ToolDefinition } from '../directory/catalogue.ts'
import type { Provider } from '../directory/directory.ts'
import { isBuiltin } from './builtin.ts'

/** Longest name in a gateway. */
export const NAME_CHARS_MAX = 50

/** Digits of the hash that tells apart what was cut or would be equal. */
const TAIL_CHARS = 8

/** `auto`: the agent's name goes before the tool's only where two would be equal. */
export type Prefix = 'auto' | 'always' | 'never'

/** A tool as a gateway shows it. */
export interface GatewayTool {
  /** In the gateway. */
  readonly name: string
  /** Whose tool it is, for as long as it is: what a name is bound to. */
  readonly key: string
  /** As its provider defines it, with its own name. */
  readonly tool: ToolDefinition
  /** The provider's agent; in a pool, the agent of its first member. */
  readonly agent: string
  /** The provider; in a pool, its first member. */
  readonly peerId: string
  readonly peerName: string
  /** Present where several agents of a pool stand in for each other. */
  readonly pool?: string
  /** Whether any provider of it can serve now. */
  readonly available: boolean
  readonly reason?: string
}

export interface NameOptions {
  /** Default `auto`. */
  readonly prefix?: Prefix
  /** Names given earlier, with the keys they were given to: kept, and given to nobody else. */
  readonly bound?: ReadonlyMap<string, string>
}

/**
 * Names every tool on offer, in order of name; what pooled agents offer alike appears once, the tools built into every agent
 * not at all.
 *
 * @param providers in any order
 */
export function gatewayTools (providers: readonly Provider[], { prefix = 'auto', bound = new Map() }: NameOptions = {}): GatewayTool[] {
  const entries = gather(providers.filter(({ tool }) => !isBuiltin(tool)))
  const names = nameAll(entries, prefix, bound)
  const tools = entries.map(({ key, pool, members }): GatewayTool => {
    const [first] = members as [Provider]
    const serving = members.find(({ available }) => available)
    const { reason } = first
    return {
      name: names.get(key) as string,
      key,
      tool: first.tool,
      agent: first.agent.name,
      peerId: first.peerId,
      peerName: first.peerName,
      ...pool !== undefined && { pool },
      available: serving !== undefined,
      ...serving === undefined && reason !== undefined && { reason }
    }
  })
  return tools.sort((left, right) => left.name < right.name ? -1 : 1)
}

/** What one name stands for: a provider's tool, or a pool's. */
interface Entry {
  readonly key: string
  readonly tool: string
  /** What goes before the tool: the agent's name, or the pool's. */
  readonly label: string
  /** Who has that label: two of one label need the peer's name too. */
  readonly owner: string
  readonly peerName: string | undefined
  readonly pool: string | undefined
  /** In order of peer and agent, not empty. */
  readonly members: readonly Provider[]
}

function gather (providers: readonly Provider[]): Entry[] {
  const ordered = [...providers].sort((left, right) => memberKey(left) < memberKey(right) ? -1 : 1)
  const pools = new Map<string, Map<string, Provider[]>>()
  const entries: Entry[] = []
  for (const provider of ordered) {
    const { agent: { pool }, tool, toolHash } = provider
    if (pool === undefined) {
      entries.push(alone(provider))
      continue
    }
    const key = keyOf('pool', pool, tool.name)
    const versions = pools.get(key) ?? new Map<string, Provider[]>()
    pools.set(key, versions)
    versions.set(toolHash, [...versions.get(toolHash) ?? [], provider])
  }
  for (const [key, versions] of pools) {
    const [pooled, ...others] = [...versions].sort(([leftHash, left], [rightHash, right]) =>
      right.length - left.length || (leftHash < rightHash ? -1 : 1)).map(([, members]) => members) as [Provider[], ...Provider[][]]
    const [first] = pooled as [Provider, ...Provider[]]
    const pool = first.agent.pool as string
    entries.push({ key, tool: first.tool.name, label: pool, owner: keyOf('pool', pool), peerName: undefined, pool, members: pooled })
    // members whose tool differs do not stand in for the rest: each speaks for itself
    for (const provider of others.flat()) entries.push(alone(provider))
  }
  return entries.sort((left, right) => left.key < right.key ? -1 : 1)
}

function alone (provider: Provider): Entry {
  const { peerId, peerName, agent, tool } = provider
  return {
    key: keyOf('peer', peerId, agent.name, tool.name), tool: tool.name, label: agent.name, owner: keyOf('peer', peerId, agent.name), peerName, pool: undefined, members: [provider]
  }
}

function nameAll (entries: readonly Entry[], prefix: Prefix, bound: ReadonlyMap<string, string>): Map<string, string> {
  const names = new Map<string, string>()
  for (const [name, key] of bound) names.set(key, name)
  const fresh = entries.filter(({ key }) => !names.has(key))
  const owners = groupBy(entries, ({ label }) => plain(label), ({ owner }) => owner)
  const keys = groupBy(entries, ({ tool }) => plain(tool), ({ key }) => key)
  const wanted = fresh.map(entry => ({ entry, form: formOf(entry) }))
  const rivals = groupBy(wanted, ({ form }) => form, ({ entry }) => entry.key)
  const taken = new Set(bound.keys())
  for (const { entry, form } of wanted) {
    const isFree = form.length <= NAME_CHARS_MAX && !bound.has(form) && rivals.get(form)?.size === 1
    const name = isFree ? form : tailed(form, entry.key, taken)
    taken.add(name)
    names.set(entry.key, name)
  }
  return names

  function formOf (entry: Entry): string {
    const tool = plain(entry.tool)
    const label = plain(entry.label)
    if (prefix === 'never' || (prefix === 'auto' && keys.get(tool)?.size === 1 && !bound.has(tool))) return tool
    if (owners.get(label)?.size === 1 || entry.peerName === undefined) return `${label}__${tool}`
    return `${plain(entry.peerName)}__${label}__${tool}`
  }
}

function tailed (form: string, key: string, taken: ReadonlySet<string>): string {
  const hash = Array.from(sha256(utf8(key)), byte => byte.toString(16).padStart(2, '0')).join('')
  for (let chars = TAIL_CHARS; ; chars++) {
    const name = `${form.slice(0, NAME_CHARS_MAX - chars - 1)}_${hash.slice(0, chars)}`
    if (!taken.has(name) || chars === NAME_CHARS_MAX - 1) return name
  }
}

function plain (text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, '_')
}

function groupBy<Item> (items: readonly Item[], by: (item: Item) => string, what: (item: Item) => string): Map<string, Set<string>> {
  const groups = new Map<string, Set<string>>()
  for (const item of items) {
    const group = groups.get(by(item))
    if (group === undefined) groups.set(by(item), new Set([what(item)]))
    else group.add(what(item))
  }
  return groups
}

function memberKey ({ peerId, agent, tool }: Provider): string {
  return keyOf(peerId, agent.name, tool.name)
}

/** Names may hold anything but control characters, and these keep their parts apart. */
function keyOf (...parts: readonly string[]): string {
  return parts.join('\n')
}
