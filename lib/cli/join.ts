/** `join`: shows a ticket to whoever made it, keeps the membership that comes of it, and leaves. */
import { joinSwarm, SwarmError } from 'mcp-swarm'
import { next } from './look.ts'
import { meet } from './meet.ts'
import { findPlace, type CommonOptions } from './settings.ts'
import { askedToEnd } from './signal.ts'
import type { Terminal } from './terminal.ts'
import { plainLine } from './text.ts'

/** Longest text read from standard input: many times a ticket. */
const INPUT_CHARS_MAX = 64 * 1024

export async function join (given: string | undefined, options: CommonOptions & { name?: string }, terminal: Terminal): Promise<void> {
  const place = findPlace(options)
  const ticket = given === '-' ? await readInput() : given ?? process.env['MCP_SWARM_TICKET']
  if (ticket === undefined || ticket.trim() === '') throw new SwarmError('INVALID_OPTION', 'join takes the line that mcp-swarm invite printed')
  const swarm = await joinSwarm({ dir: place.dir, ticket, name: options.name })
  try {
    await meet(swarm, askedToEnd())
    const { swarm: { id, words, role, memberUntilMs }, peer } = swarm.status()
    const met = swarm.peers().map(({ name }) => name)
    if (terminal.json) return terminal.print(JSON.stringify({ swarm: { id, words, role, memberUntilMs }, peerId: peer.peerId, dir: place.dir, met }))
    const { paint } = terminal
    const field = (name: string, value: string): string => `  ${paint('dim', name.padEnd(8))}${value}`
    terminal.print([
      `${paint('green', '✓')} ${plainLine(peer.name)} belongs to the swarm.`,
      field('words', `${paint('bold', words ?? '')}  ${paint('dim', 'are they those of whoever invited you?')}`),
      field('swarm', id),
      field('role', role),
      field('met', met.map(plainLine).join(', ') || 'nobody yet'),
      field('folder', place.dir)
    ].join('\n'))
  } finally {
    await swarm.close()
  }
  next(terminal, `mcp-swarm up${place.flags}`)
}

async function readInput (): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += String(chunk)
    if (text.length > INPUT_CHARS_MAX) throw new SwarmError('INVALID_OPTION', `standard input holds more than a ticket: over ${INPUT_CHARS_MAX} characters`)
  }
  return text
}
