/** Words for what `status` says of peers. */
import type { Sighting, Status } from 'mcp-swarm'

const BY: Readonly<Record<Sighting['source'], string>> = {
  folder: 'on this machine',
  mdns: 'by mDNS',
  dht: 'in the DHT',
  ticket: 'by ticket',
  remembered: 'from last time',
  record: 'through others',
  inbound: 'it dialled',
  asked: 'by its address'
}

/** By what means a peer was found. */
export function found (sightings: readonly Sighting[]): string {
  return `found ${foundBy(sightings)}`
}

export function foundBy (sightings: readonly Sighting[]): string {
  return sightings.length === 0 ? 'some time ago' : sightings.slice(0, 2).map(({ source }) => BY[source]).join(', ')
}

/** How a peer is connected, in a word or two. */
export function linkText ({ connected, path, trying }: Status['peers'][number]): string {
  if (connected) return path === 'relay' ? 'by relay' : 'direct'
  return trying === null ? 'when called' : trying.message === null ? 'being dialled' : 'broken'
}

export function plural (count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** A length of time. */
export function duration (ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3_600)} h ${Math.floor(seconds / 60) % 60} min`
}
