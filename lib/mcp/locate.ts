import { parseTemplate, fitsTemplate, type Template } from './template.ts'
import { readLabel, type Holder } from './resources.ts'
import type { GatewayResource, GatewayTemplate, Located } from './view.ts'

/** What there is to look in, by the URIs of a gateway. Each list is a new array when it changes. */
export interface Shelves {
  readonly resources: readonly GatewayResource[]
  readonly resourceTemplates: readonly GatewayTemplate[]
  readonly holders: readonly Holder[]
}

/**
 * Whose a URI is, and what it is called there: one that is listed; else one that a template fits, where several do the one
 * that says most; else one that carries an agent's label; else, where there is only one agent with resources, that agent's.
 */
export function locate ({ resources, resourceTemplates, holders }: Shelves, uri: string): Located | undefined {
  const listed = indexOf(resources).get(uri)
  if (listed !== undefined) return { target: listed, uri: listed.resource['uri'] as string }
  const fitting = patternsOf(resourceTemplates).find(({ template }) => fitsTemplate(template, uri))
  if (fitting !== undefined) return { target: fitting.shown, uri: uri.slice(fitting.labelChars) }
  const labelled = readLabel(uri)
  const holder = labelled && holders.find(({ label }) => label === labelled.label)
  if (labelled !== undefined && holder !== undefined) return { target: holder.target, uri: labelled.uri }
  const pooled = new Set(holders.flatMap(({ target: { pool } }) => pool ?? []))
  const sole = holders.filter(({ target: { pool }, memberOf }) => pool !== undefined || memberOf === undefined || !pooled.has(memberOf))
  return sole.length === 1 ? { target: (sole[0] as Holder).target, uri } : undefined
}

const indexes = new WeakMap<readonly GatewayResource[], ReadonlyMap<string, GatewayResource>>()

function indexOf (resources: readonly GatewayResource[]): ReadonlyMap<string, GatewayResource> {
  const index = indexes.get(resources) ?? new Map(resources.map(resource => [resource.uri, resource]))
  indexes.set(resources, index)
  return index
}

interface Pattern {
  readonly template: Template
  readonly shown: GatewayTemplate
  readonly labelChars: number
}

const patterns = new WeakMap<readonly GatewayTemplate[], readonly Pattern[]>()

/** Those that say most come first. */
function patternsOf (templates: readonly GatewayTemplate[]): readonly Pattern[] {
  const known = patterns.get(templates)
  if (known !== undefined) return known
  const made = templates.flatMap((shown): Pattern[] => {
    const template = parseTemplate(shown.uriTemplate)
    const own = shown.template['uriTemplate'] as string
    return template === undefined ? [] : [{ template, shown, labelChars: shown.uriTemplate.length - own.length }]
  }).sort((left, right) => right.template.literals - left.template.literals) // stable: then in order of template
  patterns.set(templates, made)
  return made
}
