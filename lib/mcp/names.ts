/**
 * The names under which a gateway shows the swarm's tools and prompts: a pure function of who offers what.
 *
 * Clients put their own prefix before a name and have limits of their own (64 characters at most, letters, digits, `_`, `-`),
 * so names are at most NAME_CHARS_MAX. Invariants: one name, one meaning; the same providers give the same names in whatever
 * order they come; a name that is bound to one provider is never given to another, also while that one is away.
 */
import { sha256 } from '#hash'
import { utf8 } from '../base/bytes.ts'
import type { ToolDefinition } from '../directory/catalogue.ts'
import { isBuiltin } from './builtin.ts'
import { gather, type Entry, type Offered } from './entries.ts'
import type { GatewayPrompt, Target } from './view.ts'

/** Longest name in a gateway. */
export const NAME_CHARS_MAX = 50

/** What the names of the gateway's own tools begin with: no agent's tool is shown by its own name if that does too. */
export const OWN_PREFIX = 'swarm_'

/** Digits of the hash that tells apart what was cut or would be equal. */
const TAIL_CHARS = 8

/** `auto`: the agent's name goes before the tool's only where two would be equal. */
export type Prefix = 'auto' | 'always' | 'never'

/** A tool as a gateway shows it; in a pool, the target is its first member. */
export interface GatewayTool extends Target, Bound {
  /** In the gateway. */
  readonly name: string
  /** As its provider defines it, with its own name. */
  readonly tool: ToolDefinition
}

/** What has a name in a gateway. */
export interface Bound {
  /** Whose it is, for as long as it is: what the name is bound to. */
  readonly key: string
}

export interface NameOptions {
  /** Default `auto`. */
  readonly prefix?: Prefix
  /** Names given earlier, with the keys they were given to: kept, and given to nobody else. */
  readonly bound?: ReadonlyMap<string, string>
}

/**
 * Names every tool that is known, in order of name; what pooled agents offer alike appears once, the tools built into every
 * agent not at all.
 *
 * @param offered in any order
 */
export function gatewayTools (offered: readonly Offered[], options: NameOptions = {}): GatewayTool[] {
  const entries = gather(offered, ({ catalogue }) => catalogue?.tools.filter(tool => !isBuiltin(tool)), ({ name }) => name)
  const names = nameEntries(entries, options, OWN_PREFIX)
  return entries.map((entry): GatewayTool => {
    const name = names.get(entry.key) as string
    const known = tools.get(entry)
    if (known?.name === name) return known
    const { key, definition, target } = entry
    const tool = { name, key, tool: definition, ...target }
    tools.set(entry, tool)
    return tool
  }).sort(byName)
}

/** What entries were last made into: one that is the same, under the same name, is the same tool. */
const tools = new WeakMap<object, GatewayTool>()

/** Names every prompt that is known, as `gatewayTools` does. */
export function gatewayPrompts (offered: readonly Offered[], options: NameOptions = {}): (GatewayPrompt & Bound)[] {
  const entries = gather(offered, ({ catalogue }) => catalogue?.prompts, ({ name }) => name as string)
  const names = nameEntries(entries, options)
  return entries.map(({ key, definition, target }) => ({ name: names.get(key) as string, key, prompt: definition, ...target })).sort(byName)
}

function byName (left: { readonly name: string }, right: { readonly name: string }): number {
  return left.name < right.name ? -1 : 1
}

/** What gets a name, and what that is made of. */
export type Nameable = Pick<Entry, 'key' | 'name' | 'label' | 'owner' | 'peerName'>

/**
 * @param ownPrefix names that begin so are not given as they are
 * @returns the name of each, by key
 */
export function nameEntries (entries: readonly Nameable[], { prefix = 'auto', bound = new Map() }: NameOptions, ownPrefix?: string): Map<string, string> {
  const names = new Map<string, string>()
  for (const [name, key] of bound) names.set(key, name)
  const fresh = entries.filter(({ key }) => !names.has(key))
  if (fresh.length === 0) return names
  const owners = groupBy(entries, ({ label }) => plain(label), ({ owner }) => owner)
  const keys = groupBy(entries, ({ name }) => plain(name), ({ key }) => key)
  const wanted = fresh.map(entry => ({ entry, form: formOf(entry) }))
  const rivals = groupBy(wanted, ({ form }) => form, ({ entry }) => entry.key)
  const taken = new Set(bound.keys())
  for (const { entry, form } of wanted) {
    const isFree = form.length <= NAME_CHARS_MAX && !taken.has(form) && !isOwn(form) && rivals.get(form)?.size === 1
    const name = isFree ? form : tailed(form, entry.key, taken)
    taken.add(name)
    names.set(entry.key, name)
  }
  return names

  function formOf (entry: Nameable): string {
    const name = plain(entry.name)
    const label = plain(entry.label)
    if (prefix === 'never' || (prefix === 'auto' && keys.get(name)?.size === 1 && !bound.has(name) && !isOwn(name))) return name
    if (owners.get(label)?.size === 1 || entry.peerName === undefined) return `${label}__${name}`
    return `${plain(entry.peerName)}__${label}__${name}`
  }

  function isOwn (name: string): boolean {
    return ownPrefix !== undefined && name.startsWith(ownPrefix)
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
