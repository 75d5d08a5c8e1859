/** What the rows of ../swarm.ts ask of peers, wherever they run. */
import { createHash } from 'node:crypto'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { isSmoke } from '../rig.ts'

/** How long nothing is said or done, in milliseconds. */
export const IDLE_MS = isSmoke ? 2_000 : 30_000

const TOOLS = ['read_file', 'write_file', 'list_files']

export async function offer (swarm: Swarm): Promise<void> {
  const agent = swarm.agent('files')
  for (const name of TOOLS) agent.tool(name, { description: `Does as ${name} says`, input: { type: 'object' } }, () => 'done')
  await agent.start()
}

/** Whether each knows the tools of all, itself among them. */
export function isWhole (swarms: readonly Swarm[], size = swarms.length): boolean {
  return swarms.every(swarm => swarm.find({ tool: 'read_file' }).length === size)
}

/** What a peer knows of all agents, as a short text. */
export function digestOf (swarm: Swarm): string {
  return createHash('sha256').update(swarm.agents().map(({ catalogue, name, peerId }) => `${peerId} ${name} ${catalogue}`).join('\n')).digest('hex')
}

export function isEqual (swarms: readonly Swarm[]): boolean {
  return new Set(swarms.map(digestOf)).size === 1
}

export function linksOf (swarms: readonly Swarm[]): string {
  return rangeOf(swarms.map(linkCount))
}

export function linkCount (swarm: Swarm): number {
  return swarm.status().peers.filter(({ connected }) => connected).length
}

export function rangeOf (counts: readonly number[]): string {
  return `${Math.min(...counts)} / ${(counts.reduce((sum, count) => sum + count, 0) / counts.length).toFixed(1)} / ${Math.max(...counts)}`
}
