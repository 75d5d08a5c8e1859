/**
 * What gateways show: everything that is known, under names that stay with their owners.
 *
 * Lists are made anew only when the directory may give something else, and what has not changed is the same object then:
 * a list in which nothing has changed, and each entry of one in which something has.
 */
import type { Clock } from '../base/clock.ts'
import type { Directory } from '../directory/directory.ts'
import type { Offered } from '../mcp/entries.ts'
import { gatewayPrompts, gatewayTools, type Bound, type GatewayTool, type Prefix } from '../mcp/names.ts'
import { gatewayResources, type Holder } from '../mcp/resources.ts'
import type { GatewayPrompt, GatewayResource, GatewayTemplate } from '../mcp/view.ts'
import type { Bindings, Named, Space } from './bindings.ts'

/** Everything that a gateway shows, also of agents that cannot be reached now. */
export interface Lists {
  /** In order of name. */
  readonly tools: readonly GatewayTool[]
  /** In order of URI. */
  readonly resources: readonly GatewayResource[]
  readonly resourceTemplates: readonly GatewayTemplate[]
  readonly prompts: readonly GatewayPrompt[]
  /** Who has resources, in order of label. */
  readonly holders: readonly Holder[]
  /** Every known agent, in order of peer and agent. */
  readonly agents: readonly Offered[]
}

const NOTHING: Lists = { tools: [], resources: [], resourceTemplates: [], prompts: [], holders: [], agents: [] }

interface Absence {
  readonly absentMs: number
  readonly sinceMs: number
}

interface Options {
  readonly directory: Directory
  readonly bindings: Bindings
  readonly clock: Clock
}

export class Showing {
  readonly #options: Options
  readonly #made = new Map<Prefix, { readonly edition: number, readonly lists: Lists }>()
  /** When each absent peer was found to be so, by both clocks: the first moves on while a machine sleeps, the other does not. */
  #absences = new Map<string, Absence>()
  /** As last seen; what has not changed stays the same object, and with it what others have made of it. */
  #offered = new Map<string, Offered>()

  constructor (options: Options) {
    this.#options = options
  }

  lists (prefix: Prefix = 'auto'): Lists {
    const { edition } = this.#options.directory
    const known = this.#made.get(prefix)
    if (known?.edition === edition) return known.lists
    const lists = renew(known?.lists ?? NOTHING, this.#make(prefix))
    this.#made.set(prefix, { edition, lists })
    return lists
  }

  #make (prefix: Prefix): Lists {
    const { bindings } = this.#options
    const agents = this.#agents()
    const tools = gatewayTools(agents, { prefix, bound: bindings.bound(`tool/${prefix}`) })
    const prompts = gatewayPrompts(agents, { prefix, bound: bindings.bound(`prompt/${prefix}`) })
    const { resources, templates, holders } = gatewayResources(agents, { resources: bindings.bound('resource'), templates: bindings.bound('template') })
    bindings.bind(new Map<Space, Named[]>([
      [`tool/${prefix}`, named(tools, ({ name }) => name)],
      [`prompt/${prefix}`, named(prompts, ({ name }) => name)],
      ['resource', named(resources, ({ uri }) => uri)],
      ['template', named(templates, ({ uriTemplate }) => uriTemplate)]
    ]))
    return { tools, prompts, resources, resourceTemplates: templates, holders, agents }
  }

  #agents (): Offered[] {
    const { clock, directory } = this.#options
    const absences = new Map<string, Absence>()
    const offered = new Map<string, Offered>()
    const same = (made: Offered): Offered => {
      const key = `${made.peerId}\n${made.agent.name}`
      const held = this.#offered.get(key)
      const kept = held !== undefined && isSame(held, made) ? held : made
      offered.set(key, kept)
      return kept
    }
    const agents = directory.offerings().map(({ absentMs, ...offering }): Offered => {
      if (absentMs === undefined) return same(offering)
      const known = this.#absences.get(offering.peerId)
      const absence = known?.absentMs === absentMs ? known : { absentMs, sinceMs: Math.round(clock.wallMs() - (clock.nowMs() - absentMs)) }
      absences.set(offering.peerId, absence)
      return same({ ...offering, sinceMs: absence.sinceMs })
    })
    this.#absences = absences
    this.#offered = offered
    return agents.sort((left, right) => left.peerName === right.peerName
      ? `${left.peerId}\n${left.agent.name}` < `${right.peerId}\n${right.agent.name}` ? -1 : 1
      : left.peerName < right.peerName ? -1 : 1)
  }
}

/** Of one agent: its entry and its catalogue are never changed, but replaced. */
function isSame (left: Offered, right: Offered): boolean {
  return left.agent === right.agent && left.catalogue === right.catalogue && left.peerName === right.peerName &&
    left.available === right.available && left.reason === right.reason && left.sinceMs === right.sinceMs
}

function named<Item extends Bound> (items: readonly Item[], nameOf: (item: Item) => string): Named[] {
  return items.map(item => ({ name: nameOf(item), provider: item.key }))
}

function renew (old: Lists, made: Lists): Lists {
  const lists: Lists = {
    tools: keep(old.tools, made.tools, ({ name }) => name),
    resources: keep(old.resources, made.resources, ({ uri }) => uri),
    resourceTemplates: keep(old.resourceTemplates, made.resourceTemplates, ({ uriTemplate }) => uriTemplate),
    prompts: keep(old.prompts, made.prompts, ({ name }) => name),
    holders: keep(old.holders, made.holders, ({ label }) => label),
    agents: keep(old.agents, made.agents, ({ peerId, agent }) => `${peerId}\n${agent.name}`)
  }
  return (Object.keys(lists) as (keyof Lists)[]).every(list => lists[list] === old[list]) ? old : lists
}

function keep<Item> (old: readonly Item[], made: readonly Item[], nameOf: (item: Item) => string): readonly Item[] {
  const byName = new Map(old.map(item => [nameOf(item), item]))
  const kept = made.map(item => {
    const held = byName.get(nameOf(item))
    return held !== undefined && areAlike(held, item) ? held : item
  })
  return kept.length === old.length && kept.every((item, index) => item === old[index]) ? old : kept
}

/** Plain data, of bounded depth; what has not changed is mostly the same object. */
function areAlike (left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null || Array.isArray(left) !== Array.isArray(right)) return false
  const [names, others] = [Object.keys(left), Object.keys(right)]
  return names.length === others.length &&
    names.every(name => Object.hasOwn(right, name) && areAlike((left as Record<string, unknown>)[name], (right as Record<string, unknown>)[name]))
}
