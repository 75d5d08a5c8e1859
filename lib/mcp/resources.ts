/**
 * The URIs under which a gateway shows the swarm's resources and their templates.
 *
 * A URI is shown as its agent has it. Where another's stands there already, or two come with one, it is shown as
 * `swarm://<label>/<URI>`, by plain concatenation, so that cutting gives the agent's own back; the label is the agent's name
 * in plain characters, or the pool's, with the peer's name before it where two agents share one. An agent's own URI that
 * begins so always gets a label: no agent can pass for another. Names keep to their owners as in names.ts; labels too.
 */
import { gather, inOrder, keyOf, targetOf, type Entry, type Offered } from './entries.ts'
import { nameEntries, type Bound, type Nameable } from './names.ts'
import type { GatewayResource, GatewayTemplate, Target } from './view.ts'

/** What a URI begins with that has been given a label. */
export const LABELLED = 'swarm://'

export interface UriOptions {
  /** URIs and templates given earlier, with the keys they were given to: kept, with their labels, and given to nobody else. */
  readonly resources?: ReadonlyMap<string, string>
  readonly templates?: ReadonlyMap<string, string>
}

/** An agent or a pool that has resources. */
export interface Holder {
  readonly label: string
  /** Whose label it is, for as long as it is. */
  readonly owner: string
  /** The pool of an agent that also stands here alone, for what it does not share. */
  readonly memberOf?: string
  readonly target: Target
}

export interface GatewayResources {
  /** In order of URI. */
  readonly resources: readonly (GatewayResource & Bound)[]
  readonly templates: readonly (GatewayTemplate & Bound)[]
  /** In order of label. */
  readonly holders: readonly Holder[]
}

/** Names every resource and template that is known; what pooled agents offer alike appears once. */
export function gatewayResources (offered: readonly Offered[], { resources = new Map(), templates = new Map() }: UriOptions = {}): GatewayResources {
  const holders = holdersOf(offered, new Map([...resources, ...templates].flatMap(labelGiven)))
  const labelOf = new Map(holders.map(({ owner, label }) => [owner, label]))
  const ofResources = gather(offered, ({ catalogue }) => catalogue?.resources, ({ uri }) => uri as string)
  const ofTemplates = gather(offered, ({ catalogue }) => catalogue?.resourceTemplates, ({ uriTemplate }) => uriTemplate as string)
  return {
    holders,
    resources: nameUris(ofResources, resources, labelOf).map(({ uri, entry: { key, definition, target } }) => ({ uri, key, resource: definition, ...target })),
    templates: nameUris(ofTemplates, templates, labelOf).map(({ uri, entry: { key, definition, target } }) => ({ uriTemplate: uri, key, template: definition, ...target }))
  }
}

/** @returns the label before an agent's URI, with what follows it, or undefined where there is none */
export function readLabel (uri: string): { readonly label: string, readonly uri: string } | undefined {
  if (!uri.startsWith(LABELLED)) return undefined
  const end = uri.indexOf('/', LABELLED.length)
  return end === -1 ? undefined : { label: uri.slice(LABELLED.length, end), uri: uri.slice(end + 1) }
}

function nameUris (entries: readonly Entry[], bound: ReadonlyMap<string, string>, labelOf: ReadonlyMap<string, string>): { readonly uri: string, readonly entry: Entry }[] {
  const names = new Map<string, string>()
  for (const [uri, key] of bound) names.set(key, uri)
  const rivals = new Map<string, number>()
  for (const { name } of entries) rivals.set(name, (rivals.get(name) ?? 0) + 1)
  const nameOf = ({ key, name, owner }: Entry): string => {
    const given = names.get(key)
    if (given !== undefined) return given
    const isFree = rivals.get(name) === 1 && !bound.has(name) && !name.toLowerCase().startsWith(LABELLED)
    return isFree ? name : `${LABELLED}${labelOf.get(owner)}/${name}`
  }
  return entries.map(entry => ({ uri: nameOf(entry), entry })).sort((left, right) => left.uri < right.uri ? -1 : 1)
}

/** The label that a URI was given with, and whose: who has one URI with a label has the label. */
function labelGiven ([uri, key]: readonly [string, string]): [string, string][] {
  const labelled = readLabel(uri)
  return labelled === undefined ? [] : [[labelled.label, key.slice(0, key.lastIndexOf('\n'))]]
}

/** A label is a name like another, of the agent: with its peer's before it where two would be equal. */
function holdersOf (offered: readonly Offered[], bound: ReadonlyMap<string, string>): Holder[] {
  const groups = new Map<string, { readonly wanted: Nameable, readonly members: Offered[] }>()
  for (const offering of inOrder(offered)) {
    const { agent: { name, pool }, peerId, peerName, catalogue } = offering
    if (!hasResources(catalogue)) continue
    // what pooled agents do not share is shown as their own
    if (pool !== undefined) join(keyOf('pool', pool), { name: pool, label: pool, peerName: undefined }, offering)
    join(keyOf('peer', peerId, name), { name, label: peerName, peerName: undefined }, offering)
  }
  const names = nameEntries([...groups.values()].map(({ wanted }) => wanted), { bound })
  return [...groups].map(([owner, { members }]) => {
    const pool = members[0]?.agent.pool
    const label = names.get(owner) as string
    if (owner.startsWith('pool\n')) return { label, owner, target: targetOf(members, pool) }
    return { label, owner, ...pool !== undefined && { memberOf: pool }, target: targetOf(members) }
  }).sort((left, right) => left.label < right.label ? -1 : 1)

  function join (key: string, wanted: Omit<Nameable, 'key' | 'owner'>, member: Offered): void {
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { wanted: { ...wanted, key, owner: key }, members: [member] })
    else group.members.push(member)
  }
}

function hasResources (catalogue: Offered['catalogue']): boolean {
  if (catalogue === undefined) return false
  const { capabilities, resources = [], resourceTemplates = [] } = catalogue
  return capabilities?.['resources'] !== undefined || resources.length > 0 || resourceTemplates.length > 0
}
