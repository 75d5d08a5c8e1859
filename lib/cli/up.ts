/** `up`: runs a peer until it is asked to end, and tells what happens. */
import type { AgentView, ConfigChanges, PeerView, Trouble } from 'mcp-swarm'
import { useFolder } from './folder.ts'
import { registerCommand } from './http.ts'
import { agentText, next } from './look.ts'
import { STARTING } from './meet.ts'
import { becomeHolder, type Holder, type PeerOptions } from './peer.ts'
import type { ShowOptions } from './request.ts'
import { findPlace, type CommonOptions, type Place } from './settings.ts'
import { askedToEnd, fired } from './signal.ts'
import { reachHolder } from './socket.ts'
import type { Terminal } from './terminal.ts'
import { plainLine } from './text.ts'

/** How long to wait for a command that holds the folder only for a moment, in milliseconds. */
const VISITOR_MS_MAX = 3_000

export interface UpOptions extends CommonOptions, PeerOptions, ShowOptions {
  readonly port?: number
  /** False: whatever runs on this machine may use the gateway. */
  readonly token?: boolean
}

export async function up (options: UpOptions, terminal: Terminal): Promise<void> {
  const place = findPlace(options)
  const asked = askedToEnd()
  const { announce, listen, name, port, prefix, ticket, token, tools } = options
  const patience = await isHeld(place) ? 0 : VISITOR_MS_MAX
  const holder = await useFolder(patience, asked, async () => undefined, async () => await becomeHolder(place, { name, listen, announce, ticket, http: { port, prefix, token, tools } }))
  const stop = terminal.json ? tellProgram(holder, terminal) : tellPerson(holder, place, terminal)
  await fired(asked)
  stop()
  await holder.close()
  if (terminal.json) terminal.print(JSON.stringify({ event: 'left' }))
}

/** Whether a peer that stays holds the folder: one that answers. */
async function isHeld ({ dir }: Place): Promise<boolean> {
  const socket = await reachHolder(dir)
  socket?.destroy()
  return socket !== undefined
}

/** Events of a swarm that `--json` prints. */
const EVENTS = ['peer:joined', 'peer:left', 'agent:added', 'agent:changed', 'agent:removed', 'tools:changed', 'trouble', 'trouble:over', 'config:changed'] as const

/** A line per event, the first of them `ready`. */
function tellProgram ({ swarm, gateway, readyMs }: Holder, terminal: Terminal): () => void {
  const { peer, swarm: { id, kind, role, words }, agents, troubles } = swarm.status()
  const print = (event: string, facts: object): void => { terminal.print(JSON.stringify({ event, ...facts })) }
  print('ready', { peerId: peer.peerId, addresses: peer.addresses, gateway: gateway?.url ?? null, name: peer.name, swarm: { id, kind, role, words }, dir: peer.dir, pid: peer.pid, agents, readyMs })
  const stops = EVENTS.map(name => swarm.on(name, facts => { print(name, facts ?? {}) }))
  for (const trouble of troubles) print('trouble', trouble)
  for (const met of swarm.peers()) print('peer:joined', met)
  return () => { for (const stop of stops) stop() }
}

function tellPerson ({ swarm, gateway }: Holder, place: Place, terminal: Terminal): () => void {
  const { paint } = terminal
  const { peer, swarm: { kind, role, words }, agents, troubles } = swarm.status()
  const field = (name: string, value: string): string => `  ${paint('dim', name.padEnd(8))}${value}`
  terminal.print([
    `${paint('bold', plainLine(peer.name))} is up ${paint('dim', peer.peerId)}`,
    field('swarm', kind === 'local' ? 'local: this user\'s own' : `${words} ${paint('dim', role)}`),
    field('folder', peer.dir ?? 'none'),
    field('listens', peer.addresses.join(' ') || 'nowhere'),
    ...(gateway === undefined ? [] : [field('gateway', gateway.url), field('token', gateway.tokenPath ?? 'none: whatever runs on this machine may use it')]),
    ...(place.configPath === undefined ? [field('config', 'none: no .mcp.json here')] : []),
    ...(agents.length === 0 ? [field('offers', place.configPath === undefined ? 'nothing' : `nothing: list servers under "swarm": { "share": [...] } in ${place.configPath}`)] : [])
  ].join('\n'))
  const seen = new Map<string, string>()
  const tellOwn = (): void => {
    for (const { name, available, tools, reason } of swarm.status().agents) {
      const now = available
        ? `${paint('green', '✓')} ${name}: ${count(tools, 'tool')} offered`
        : reason === STARTING || reason === null ? `${paint('yellow', '…')} ${name}: starting` : `${paint('red', '✗')} ${name}: ${plainLine(reason)}; trying again`
      if (seen.get(name) === now) continue
      seen.set(name, now)
      terminal.print(now)
    }
  }
  const offered = new Map<string, string>()
  const tellOffer = (agent: AgentView): void => {
    const [key, text] = [`${agent.peerId} ${agent.name}`, agentText(agent)]
    if (agent.peerId === swarm.peerId || offered.get(key) === text) return
    offered.set(key, text)
    terminal.print(`${paint('green', '+')} ${plainLine(agent.peerName)} offers ${text}`)
  }
  const tellJoined = (joined: PeerView): void => {
    terminal.print(`${paint('green', '+')} ${plainLine(joined.name)} joined`)
    for (const agent of joined.agents) tellOffer(agent)
  }
  const tellTrouble = ({ code, message }: Trouble): void => {
    if (code === 'SERVER_FAILED') return tellOwn()
    terminal.note(`${paint('red', '✗')} ${code}: ${plainLine(message)}`)
  }
  const tellChanges = ({ added, removed, replaced, allowed, atRestart }: ConfigChanges): void => {
    for (const name of [...removed, ...replaced]) seen.delete(name)
    const lines = (names: readonly string[], text: (name: string) => string): string[] => names.map(name => text(plainLine(name)))
    terminal.print([
      ...lines(removed, name => `${paint('yellow', '-')} no longer shares ${name}`),
      ...lines(added, name => `${paint('green', '+')} now shares ${name}`),
      ...lines(replaced, name => `${paint('green', '+')} shares ${name} anew, as the config has it now`),
      ...lines(allowed, name => `${paint('green', '+')} who may use ${name} has changed`),
      ...lines(atRestart, name => `${paint('yellow', '!')} the ${name} in the config counts from the next start`)
    ].join('\n'))
  }
  tellOwn()
  for (const trouble of troubles) tellTrouble(trouble)
  next(terminal, `mcp-swarm tools${place.flags}${gateway === undefined ? '' : `\n      ${registerCommand(gateway)}`}`)
  const stops = [
    swarm.on('tools:changed', tellOwn),
    swarm.on('trouble', tellTrouble),
    swarm.on('trouble:over', ({ message }) => { terminal.note(`${paint('green', '✓')} over: ${plainLine(message)}`) }),
    swarm.on('config:changed', tellChanges),
    swarm.on('peer:joined', tellJoined),
    swarm.on('peer:left', peer => { terminal.print(`${paint('yellow', '-')} ${plainLine(peer.name)} left`) }),
    swarm.on('agent:added', tellOffer),
    swarm.on('agent:changed', tellOffer),
    swarm.on('agent:removed', agent => {
      const isThere = swarm.peers().some(({ peerId }) => peerId === agent.peerId) // of one that has left, that is told
      if (offered.delete(`${agent.peerId} ${agent.name}`) && isThere) terminal.print(`${paint('yellow', '-')} ${plainLine(agent.peerName)} no longer offers ${plainLine(agent.name)}`)
    })
  ]
  for (const met of swarm.peers()) tellJoined(met)
  return () => { for (const stop of stops) stop() }
}

function count (number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
