/** The commands that look: `status`, `peers`, `tools`. */
import { systemClock, type GatewayTool, type Prefix, type Status } from 'mcp-swarm'
import type { StatusAnswer } from './answer.ts'
import { useFolder } from './folder.ts'
import { STARTING } from './meet.ts'
import { ask, type AskOptions, type Question } from './request.ts'
import { duration, foundBy, linkText, plural } from './said.ts'
import { findPlace, type CommonOptions, type Place } from './settings.ts'
import { askedToEnd } from './signal.ts'
import { reachHolder } from './socket.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { plainLine } from './text.ts'

/** How long a peer that holds the folder may take to answer its socket, in milliseconds: it may be starting. */
const HOLDER_MS_MAX = 5_000

/** Asks the peer that holds the place, or joins for a moment to find out. */
export async function inquire (place: Place, question: Question, options: AskOptions): Promise<unknown> {
  return await useFolder(HOLDER_MS_MAX, options.signal, async () => {
    const socket = await reachHolder(place.dir)
    return socket === undefined ? undefined : { reply: await ask(socket, question, options) }
  }, async () => {
    const { visit } = await import('./peer.ts')
    return { reply: await visit(place, question, options) }
  }).then(({ reply }) => reply)
}

/** Troubles that `status` shows a person. */
const TROUBLES_SHOWN = 5

export async function showStatus (options: CommonOptions, terminal: Terminal): Promise<void> {
  const place = findPlace(options)
  const status = await inquire(place, { do: 'status' }, { signal: askedToEnd() }) as StatusAnswer
  if (terminal.json) return terminal.print(JSON.stringify(status))
  const { paint } = terminal
  const { peer, swarm, agents, peers, sought, calls, gateway, troubles } = status
  const field = (name: string, value: string): string => `${paint('dim', name.padEnd(8))} ${value}`
  terminal.print([
    `${paint('bold', plainLine(peer.name))} ${paint('dim', peer.peerId)}`,
    field('swarm', `${swarm.kind} ${paint('dim', swarm.id)}`),
    ...swarm.words === null ? [] : [field('words', swarm.words), field('role', swarm.role)],
    field('process', `${peer.pid}, up ${duration(peer.uptimeMs)}`),
    field('folder', peer.dir ?? 'none: memory only'),
    field('listens', peer.addresses.join(' ') || 'nowhere'),
    ...gateway === null ? [] : [field('gateway', gateway)],
    field('peers', `${peers.filter(({ connected }) => connected).length} connected of ${peers.length}${sought.length === 0 ? '' : `; ${sought.length} looked for and not reached`}`),
    field('calls', `${calls.made} made, ${calls.served} served, ${calls.failed} failed, ${calls.inFlight} in flight`)
  ].join('\n'))
  if (agents.length > 0) {
    terminal.print(`\n${table(['OFFERS', 'KIND', 'TOOLS', 'STATUS'], agents.map(({ name, kind, tools, reason }) =>
      [plainLine(name), kind, String(tools), reason === null ? 'running' : `unavailable: ${plainLine(reason)}`]), paint, terminal.width)}`)
  }
  if (troubles.length > 0) {
    const shown = troubles.slice(-TROUBLES_SHOWN).map(({ code, message }) => `${paint('red', '✗')} ${code}: ${plainLine(message)}`)
    terminal.print(`\n${paint('bold', 'TROUBLES')} ${paint('dim', 'newest last')}\n${shown.join('\n')}`)
  }
  next(terminal, peers.length > 0 ? `mcp-swarm peers${place.flags}` : whereNobodyIs(status, place, 'mcp-swarm up in another folder, or mcp-swarm demo'))
}

/** Peers looked for that `peers` shows a person by name. */
const SOUGHT_SHOWN = 10

/** What to do next where no other peer is. @param local in the user's own swarm */
function whereNobodyIs ({ swarm, sought }: Pick<Status, 'swarm' | 'sought'>, { flags }: Place, local: string): string {
  if (sought.length > 0) return `mcp-swarm doctor${flags}`
  if (swarm.kind === 'local') return local
  return swarm.role === 'admin' ? `mcp-swarm invite${flags}, or mcp-swarm doctor${flags}` : `mcp-swarm doctor${flags}`
}

export async function showPeers (options: CommonOptions, terminal: Terminal): Promise<void> {
  const place = findPlace(options)
  const status = await inquire(place, { do: 'status' }, { signal: askedToEnd() }) as Status
  const { peers, sought } = status
  if (terminal.json) return terminal.print(JSON.stringify(peers))
  if (peers.length === 0) terminal.note('No other peer is here.')
  if (peers.length + sought.length === 0) return next(terminal, whereNobodyIs(status, place, 'mcp-swarm up in a folder with a .mcp.json that shares something'))
  const { paint } = terminal
  const nowMs = systemClock.wallMs()
  const rows = peers.map(peer => [
    plainLine(peer.name),
    peer.peerId,
    linkText(peer),
    peer.linkedAtMs === null ? '-' : duration(nowMs - peer.linkedAtMs),
    foundBy(peer.found),
    peer.agents.map(agentText).join(', ') || '-'
  ])
  const missing = sought.slice(0, SOUGHT_SHOWN).map(({ name, peerId, found, trying }) =>
    [name === null ? '-' : plainLine(name), peerId, trying.message === null ? 'being dialled' : 'not reached', '-', foundBy(found), '-'])
  terminal.print(table(['PEER', 'ID', 'LINK', 'FOR', 'FOUND', 'OFFERS'], [...rows, ...missing], paint))
  const isBroken = sought.length > 0 || peers.some(({ trying }) => trying !== null)
  if (sought.length > SOUGHT_SHOWN) terminal.note(`${plural(sought.length - SOUGHT_SHOWN, 'more peer')} looked for and not reached.`)
  next(terminal, isBroken ? `mcp-swarm doctor${place.flags}` : `mcp-swarm tools${place.flags}`)
}

export async function showTools (query: string | undefined, options: CommonOptions & { prefix?: Prefix }, terminal: Terminal): Promise<void> {
  const place = findPlace(options)
  const all = await inquire(place, { do: 'tools', prefix: options.prefix }, { signal: askedToEnd() }) as GatewayTool[]
  const wanted = query?.toLowerCase()
  const tools = all.filter(({ name, tool }) => wanted === undefined || [name, tool.name, tool.title, tool.description].some(text => text?.toLowerCase().includes(wanted)))
  if (terminal.json) return terminal.print(JSON.stringify(tools))
  if (all.length === 0) {
    const { agents, peers } = await inquire(place, { do: 'status' }, { signal: askedToEnd() }) as Status
    const starting = [...agents, ...peers.flatMap(peer => peer.agents)].filter(({ reason }) => reason === STARTING).map(({ name }) => plainLine(name))
    if (starting.length > 0) {
      terminal.note(`No tool is offered here yet: ${starting.join(', ')} ${starting.length === 1 ? 'is' : 'are'} starting.`)
      return next(terminal, `mcp-swarm tools${place.flags}, in a moment`)
    }
  }
  if (tools.length === 0) {
    terminal.note(query === undefined || all.length === 0 ? 'No tool is offered here.' : `None of ${all.length} tools has ${JSON.stringify(query)} in its name or description.`)
    return next(terminal, `mcp-swarm peers${place.flags}`)
  }
  terminal.print(table(['TOOL', 'FROM', 'DESCRIPTION'], tools.map(({ name, tool, agent, peerName, pool }) => [
    plainLine(name),
    plainLine(`${agent} @ ${pool === undefined ? peerName : `pool ${pool}`}`),
    plainLine((tool.description ?? tool.title ?? '').trim().split('\n')[0] ?? '')
  ]), terminal.paint, terminal.width))
  next(terminal, `mcp-swarm call ${plainLine(tools[0]?.name ?? 'TOOL')} '{…}'${place.flags}`)
}

/** An agent with the number of its tools, or why it cannot serve. */
export function agentText ({ name, available, reason, tools }: Status['peers'][number]['agents'][number]): string {
  if (!available) return `${plainLine(name)} (unavailable: ${plainLine(reason ?? 'no reason given')})`
  return tools === null ? plainLine(name) : `${plainLine(name)} (${tools} tool${tools === 1 ? '' : 's'})`
}

/** Names the next useful command, for a person. */
export function next (terminal: Terminal, command: string): void {
  if (!terminal.json) terminal.note(terminal.paint('dim', `\nNext: ${command}`))
}
