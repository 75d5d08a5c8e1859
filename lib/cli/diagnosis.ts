/**
 * What stands between this peer and the others, and what helps: worked out from `status` alone, so that it says the same of a peer
 * that runs elsewhere. Nothing here asks, waits or prints.
 */
import type { SwarmError, Status } from 'mcp-swarm'
import { cureOf } from './failure.ts'
import { duration, found, plural } from './said.ts'

/** good: as it should be. note: worth knowing. bad: stands in the way. */
export type Level = 'good' | 'note' | 'bad'

export interface Finding {
  readonly level: Level
  readonly about: 'peer' | 'swarm' | 'reach' | 'peers' | 'refused' | 'offers' | 'documents' | 'trouble'
  readonly says: string
  /** What to do; for whatever is bad there is something. */
  readonly cure?: string
}

/** A membership that ends so soon is told of, in milliseconds. */
const ENDS_SOON_MS = 24 * 3_600_000

/** Of many that fail alike one is told of by name, and the others counted. */
const NAMED_MAX = 5

/** @param facts.runs whether a peer holds the folder; else it was joined for this question alone @param facts.nowMs since 1970 UTC */
export function diagnose (status: Status, facts: { readonly runs: boolean, readonly nowMs: number }): Finding[] {
  return [
    ...aboutPeer(status, facts),
    ...aboutSwarm(status, facts.nowMs),
    ...aboutReach(status),
    ...aboutPeers(status, facts.nowMs),
    ...aboutRefusals(status),
    ...aboutOffers(status),
    ...status.troubles.map(({ code, message }): Finding => ({ level: 'bad', about: 'trouble', says: `${code}: ${message}`, cure: cureOf(code) ?? WAIT }))
  ]
}

/** What kept a peer from joining at all, as the one finding there is. */
export function diagnoseFailure (error: SwarmError): Finding {
  return { level: 'bad', about: 'peer', says: `cannot join: ${error.code}: ${error.message}`, cure: cureOf(error.code) ?? 'The sentence above says what is wrong.' }
}

const WAIT = 'It is tried again by itself; if it stays, mcp-swarm status shows it.'

function aboutPeer ({ peer, version }: Status, { runs }: { readonly runs: boolean }): Finding[] {
  const says = `${peer.name} (mcp-swarm ${version})`
  return [runs
    ? { level: 'good', about: 'peer', says: `${says} runs as process ${peer.pid}, folder ${peer.dir ?? 'none'}` }
    : { level: 'note', about: 'peer', says: `${says}: no peer runs for folder ${peer.dir ?? 'none'}; one joined for this look`, cure: 'Keep one running: mcp-swarm up' }]
}

function aboutSwarm ({ swarm }: Status, nowMs: number): Finding[] {
  if (swarm.kind === 'local') {
    return [{ level: 'note', about: 'swarm', says: 'your own swarm: it holds your peers on this machine and no others', cure: 'To let others in: mcp-swarm init, then mcp-swarm invite. To get in: mcp-swarm join TICKET' }]
  }
  const says = `swarm ${swarm.words ?? swarm.id}, as ${swarm.role}`
  const leftMs = swarm.memberUntilMs === null ? Infinity : swarm.memberUntilMs - nowMs
  if (leftMs <= 0) return [{ level: 'bad', about: 'swarm', says: `${says}: the membership ended ${duration(-leftMs)} ago`, cure: 'Ask an admin for a ticket, then: mcp-swarm join TICKET. If it should not have ended, set the clock of this machine.' }]
  if (leftMs <= ENDS_SOON_MS) return [{ level: 'note', about: 'swarm', says: `${says}: the membership ends in ${duration(leftMs)}`, cure: 'It is renewed while an admin is connected; else ask for another ticket.' }]
  return [{ level: 'good', about: 'swarm', says }]
}

function aboutReach ({ discovery, peer, swarm }: Status): Finding[] {
  const findings: Finding[] = []
  const beyond = peer.addresses.filter(address => !isLoopback(address))
  if (peer.addresses.length === 0) findings.push({ level: 'bad', about: 'reach', says: 'it listens nowhere: nobody can dial it', cure: 'Let it listen: mcp-swarm up --listen /ip4/0.0.0.0/tcp/0' })
  else if (swarm.kind === 'made' && beyond.length === 0) {
    findings.push({ level: 'bad', about: 'reach', says: `it listens on this machine only: ${peer.addresses.join(', ')}`, cure: 'Connect a network, or listen on more: mcp-swarm up --listen /ip4/0.0.0.0/tcp/0' })
  } else findings.push({ level: 'good', about: 'reach', says: `others dial it at ${peer.addresses.join(', ')}` })
  const means = MEANS.filter(({ name }) => discovery[name]).map(({ says }) => says)
  if (means.length === 0) findings.push({ level: 'bad', about: 'reach', says: 'it looks for nobody: every means of discovery is off', cure: 'Unset MCP_SWARM_DISCOVERY, or set it to on.' })
  else findings.push({ level: 'good', about: 'reach', says: `it looks for others ${means.join(', ')}` })
  return findings
}

const MEANS = [
  { name: 'folder', says: 'on this machine' },
  { name: 'mdns', says: 'on the LAN (mDNS)' },
  { name: 'dht', says: 'through those it knows (DHT)' }
] as const

function aboutPeers ({ peers, sought, swarm }: Status, nowMs: number): Finding[] {
  const findings: Finding[] = []
  const linked = peers.filter(({ connected }) => connected)
  for (const { name, path, address, linkedAtMs, found: sightings } of linked.slice(0, NAMED_MAX)) {
    findings.push({ level: 'good', about: 'peers', says: `${name}: connected ${path === 'relay' ? 'through a relay' : 'directly'} at ${address ?? '?'} for ${duration(nowMs - (linkedAtMs ?? nowMs))}, ${found(sightings)}` })
  }
  if (linked.length > NAMED_MAX) findings.push({ level: 'good', about: 'peers', says: `and ${linked.length - NAMED_MAX} more` })
  const unlinked = peers.filter(({ connected, trying }) => !connected && trying === null).length
  if (unlinked > 0) findings.push({ level: 'good', about: 'peers', says: `${plural(unlinked, 'peer')} known through the others, connected when called` })
  if (peers.length === 0 && sought.length === 0) {
    findings.push(swarm.kind === 'local'
      ? { level: 'note', about: 'peers', says: 'no other peer of yours runs on this machine', cure: 'Start one in another folder: mcp-swarm up --dir OTHER' }
      : { level: 'bad', about: 'peers', says: 'nobody else was found', cure: 'Is another member running (mcp-swarm up)? On another network none is found by mDNS: join with a ticket of a member that can be dialled from here.' })
  }
  const failing = [...peers.filter(({ connected }) => !connected), ...sought].flatMap(({ name, peerId, trying, found: sightings }) =>
    trying === null || trying.message === null ? [] : [{ who: name ?? peerId, message: trying.message, attempts: trying.attempts, sightings }])
  for (const { who, message, attempts, sightings } of failing.slice(0, NAMED_MAX)) {
    findings.push({ level: 'bad', about: 'peers', says: `${who} cannot be reached after ${plural(attempts, 'attempt')} (${found(sightings)}): ${message}`, cure: cureOfDial(message) })
  }
  if (failing.length > NAMED_MAX) findings.push({ level: 'bad', about: 'peers', says: `and ${failing.length - NAMED_MAX} more cannot be reached`, cure: 'mcp-swarm status --json names them all.' })
  const asked = [...peers.filter(({ connected }) => !connected), ...sought].flatMap(({ name, peerId, trying, found: sightings }) =>
    trying === null || trying.message !== null ? [] : [`${name ?? peerId} is being dialled at ${trying.addresses.join(', ') || 'no address'}, ${found(sightings)}`])
  for (const says of asked.slice(0, NAMED_MAX)) findings.push({ level: 'note', about: 'peers', says })
  if (asked.length > NAMED_MAX) findings.push({ level: 'note', about: 'peers', says: `and ${asked.length - NAMED_MAX} more are being dialled` })
  return findings
}

/** What helps against what a dial says of its addresses; the first that fits. */
const DIAL_CURES: readonly (readonly [RegExp, string])[] = [
  [/answers as another peer/, 'Another peer has that address now. This one is found again when it tells its own, or by a new ticket.'],
  [/cannot be reached from this network/, 'There is no way from this network to that: join the same network or VPN, or let a member that both reach run (it relays).'],
  [/does not answer within/, 'It is off, or a firewall on the way drops what is sent: allow incoming TCP there, for a fixed port start it with --listen /ip4/0.0.0.0/tcp/4001'],
  [/refuses connections/, 'Its peer does not run, or listens elsewhere: start it there (mcp-swarm up), and it is found by itself.'],
  [/hangs up during the handshake|answers otherwise than a peer/, 'Something else listens there, or it takes no more connections: look at that machine with mcp-swarm doctor.'],
  [/cannot be resolved/, 'The name in its address is not known here: use its numeric address.']
]

function cureOfDial (message: string): string {
  return DIAL_CURES.find(([pattern]) => pattern.test(message))?.[1] ?? 'It is dialled again by itself; look there with mcp-swarm doctor.'
}

function aboutRefusals ({ refusals }: Status): Finding[] {
  const findings = new Map<string, Finding>()
  for (const { peerId, direction, code, reason, address } of refusals) {
    if (code === 'UNREACHABLE' || code === 'ABORTED' || (code === 'FOLDER_UNUSABLE' && direction === 'outbound')) continue
    const isOurs = reason === 'refused' // it is this peer that was not let in
    const who = isOurs ? `${peerId} at ${address} did not let this peer in` : direction === 'inbound' ? `${peerId} from ${address} was not let in` : `${peerId} at ${address} did not pass`
    const byReason = reason === null || !Object.hasOwn(REFUSALS, reason) ? undefined : REFUSALS[reason]
    const [why, cure] = (code === 'NOT_ADMITTED' ? byReason : undefined) ?? REFUSALS[code] ?? [code, 'mcp-swarm status --json has the details.']
    findings.set(`${peerId} ${code} ${reason}`, { level: direction === 'inbound' && !isOurs ? 'note' : 'bad', about: 'refused', says: `${who}: ${why}`, cure })
  }
  return [...findings.values()].slice(-NAMED_MAX)
}

/** By the reason of NOT_ADMITTED, or else by the code. */
const REFUSALS: Readonly<Record<string, readonly [why: string, cure: string]>> = {
  expired: ['its membership has ended', 'It needs another ticket: mcp-swarm invite here, mcp-swarm join TICKET there.'],
  early: ['its grant was made in the future: one of the two clocks is wrong', 'Set the clock of both machines.'],
  swarm: ['it belongs to another swarm', 'Both must have joined by tickets of one swarm: compare the words in mcp-swarm status.'],
  signature: ['what it showed was not signed by this swarm', 'It needs a ticket of this swarm: mcp-swarm invite here.'],
  peer: ['it showed somebody else’s grant', 'A folder was copied: give that peer a folder of its own, and a ticket.'],
  version: ['its grant has a newer format', 'Update mcp-swarm here.'],
  refused: ['it does not take this peer for a member', 'Compare the words in mcp-swarm status, and the clocks; then ask an admin for another ticket.'],
  silent: ['it said nothing in time', 'It is overloaded, or no peer of this kind.'],
  closed: ['it hung up before it had proven anything', 'It is overloaded, or no peer of this kind.'],
  VERSION_UNSUPPORTED: ['it speaks no version of the protocol that this peer does', 'Update mcp-swarm on both machines.'],
  MALFORMED: ['it says what no peer would', 'Something else uses that port, or its version is broken.'],
  TICKET_EXPIRED: ['its ticket has ended', 'Make it another: mcp-swarm invite --expires 7d. Should it not have ended: compare the clocks.'],
  TICKET_INVALID: ['its ticket is none of this swarm, or was changed', 'Make it another: mcp-swarm invite.'],
  TICKET_USED: ['its ticket has let in all that it may', 'Make it another, or one that more may use: mcp-swarm invite --uses 5'],
  CLOCK_OFF: ['its ticket was made in the future: the clock here is behind that of whoever made it', 'Set the clock of both machines.'],
  UNAVAILABLE: ['other admins could not agree on its ticket in time', 'It may try again in a moment, with the same ticket.'],
  OVERLOADED: ['as many are being let in as this peer keeps count of', 'It may try again in a moment, with the same ticket.'],
  FOLDER_UNUSABLE: ['that it came could not be written here', 'Check the space on the disk of this folder, and who may write there.'],
  NOT_ADMITTED: ['it has shown no grant for this swarm', 'If it should be in: mcp-swarm invite here, mcp-swarm join TICKET there.']
}

function aboutOffers ({ agents }: Status): Finding[] {
  const broken = agents.filter(({ available }) => !available)
  const tools = agents.reduce((sum, { tools }) => sum + tools, 0)
  const findings = broken.map(({ name, reason }): Finding => ({ level: 'bad', about: 'offers', says: `${name} cannot serve: ${reason ?? 'no reason given'}`, cure: 'Start its command by hand to see why; it is tried again by itself.' }))
  const serving = agents.length - broken.length
  if (serving > 0) findings.unshift({ level: 'good', about: 'offers', says: `${plural(serving, 'agent')} with ${plural(tools, 'tool')} offered here` })
  return findings
}

function isLoopback (address: string): boolean {
  return /^\/(?:ip4\/127\.|ip6\/::1\/|memory\/)/.test(address)
}
