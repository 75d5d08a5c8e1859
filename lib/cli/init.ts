/** `init`: makes a swarm, of which this folder's peer is the first admin. */
import { makeSwarm } from 'mcp-swarm'
import { next } from './look.ts'
import { findPlace, type CommonOptions } from './settings.ts'
import type { Terminal } from './terminal.ts'

export async function init (options: CommonOptions, terminal: Terminal): Promise<void> {
  const place = findPlace(options)
  const { id, words, peerId } = await makeSwarm(place.dir)
  if (terminal.json) return terminal.print(JSON.stringify({ swarm: { id, words }, peerId, dir: place.dir }))
  const { paint } = terminal
  const field = (name: string, value: string): string => `  ${paint('dim', name.padEnd(8))}${value}`
  terminal.print([
    `${paint('green', '✓')} A swarm was made.`,
    field('words', `${paint('bold', words)}  ${paint('dim', 'whoever joins sees the same six')}`),
    field('swarm', id),
    field('folder', `${place.dir}  ${paint('dim', 'swarm.key in it lets others in: keep a copy, show it to nobody')}`)
  ].join('\n'))
  next(terminal, `mcp-swarm up${place.flags}\n      mcp-swarm invite${place.flags}`)
}
