/**
 * What can be looked up in a swarm's hash table, and under which key: the SHA-256 of `mcp-swarm/<swarm>/<kind>/<name>`. Who knows
 * no swarm id learns nothing from a key.
 */
import { sha256 } from '#hash'
import { utf8 } from '../base/bytes.ts'
import type { Catalogue } from '../directory/catalogue.ts'
import type { AgentEntry } from '../directory/record.ts'
import { isBuiltin } from '../mcp/builtin.ts'

/** Tools of one peer that can be looked up; a peer with more is found by its agents. */
export const TOOLS_MAX = 100

/** Names of agents and pools of one peer that can be looked up. */
export const AGENTS_MAX = 100

/** Peers of the swarm; a peer by its name; an agent, a pool or a tool by theirs. */
export type Point =
  | { readonly kind: 'swarm' }
  | { readonly kind: 'peer' | 'agent' | 'pool' | 'tool', readonly name: string }

/** @returns 32 bytes */
export function keyOf (swarmId: string, point: Point): Uint8Array {
  return sha256(utf8(`mcp-swarm/${swarmId}/${point.kind}${point.kind === 'swarm' ? '' : `/${point.name}`}`))
}

/** A point as text: equal for equal points. */
export function textOfPoint (point: Point): string {
  return point.kind === 'swarm' ? point.kind : `${point.kind}/${point.name}`
}

/**
 * What others may find a peer by; not by the tools that every agent has. Agents that only some may use are left out: whoever may, has to know the peer.
 *
 * @param name of the peer
 * @param catalogues behind the entries, by hash
 */
export function pointsOf (name: string, entries: readonly AgentEntry[], catalogues: ReadonlyMap<string, Catalogue>): Point[] {
  const open = entries.filter(({ restricted }) => restricted !== true)
  const agents = open.flatMap((entry): Point[] => [{ kind: 'agent', name: entry.name }, ...entry.pool === undefined ? [] : [{ kind: 'pool', name: entry.pool } as const]])
  const tools = open.flatMap(({ catalogue }) => catalogues.get(catalogue)?.tools.filter(tool => !isBuiltin(tool)).map(({ name }): Point => ({ kind: 'tool', name })) ?? [])
  return [{ kind: 'swarm' }, { kind: 'peer', name }, ...distinct(agents).slice(0, AGENTS_MAX), ...distinct(tools).slice(0, TOOLS_MAX)]
}

function distinct (points: readonly Point[]): Point[] {
  return [...new Map(points.map(point => [textOfPoint(point), point])).values()]
}
