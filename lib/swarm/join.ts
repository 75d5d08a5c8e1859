import { holdFolder } from '#folder'
import { keepKey, loadOrCreateKey } from '#keystore'
import { keptPorts, saveKept } from '#kept'
import { isPage, processId } from '#platform'
import { openRendezvous } from '#rendezvous'
import { swarmIdOf, verifyGrant } from '../access/grant.ts'
import { readTicket, type Ticket } from '../access/ticket.ts'
import { SwarmError } from '../base/error.ts'
import type { Network, RelayOptions } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import { generateKey, type PrivateKey } from '../identity/key.ts'
import { openReopening } from '../storage/reopen.ts'
import { LateNetwork } from './late-network.ts'
import { joinLocal } from './local.ts'
import { belongAs, findKept, made, needsTicket, swarmKeyPath, type Belonging } from './membership.ts'
import { settle, type JoinOptions, type Means, type Seams, type Settings } from './options.ts'
import { Parts } from './parts.ts'
import { openAgain } from './ports.ts'
import { reachOf, type Reach, type SwarmKind } from './reach.ts'
import type { RendezvousOptions } from './rendezvous.ts'
import { Swarm } from './swarm.ts'

/** Among the peers of a made swarm. Nobody can dial a page, and so it has nothing to lend either. */
const RELAY: RelayOptions = isPage ? { use: 'always' } : { serve: true, use: 'auto' }

/** See `joinSwarm` of enter.ts. */
export async function joinSwarm (options: JoinOptions = {}): Promise<Swarm> {
  const parts = new Parts()
  try {
    return await open(settle(options), parts)
  } catch (error) {
    await parts.close().catch(() => undefined) // what failed first says why
    throw error
  }
}

/** Opens each part before the first that needs it. */
async function open (settings: Settings, parts: Parts): Promise<Swarm> {
  const { clock, dir, name, random } = settings
  if (dir !== undefined) {
    const lock = await holdFolder(dir, { pid: processId, name, startedAtMs: clock.wallMs() })
    parts.add(async () => { await lock.release() })
  }
  const key = dir === undefined ? generateKey(random) : await loadOrCreateKey(`${dir}/peer.key`, random)
  const { belonging, reach, network } = await belong(settings, key)
  const folder = dir === undefined ? undefined : storeFolder(dir, belonging)
  const storage = await openReopening(folder).catch(async (error: unknown) => {
    await network.close()
    throw error
  })
  parts.add(async () => { await storage.close() })
  parts.add(async () => { await network.close() })
  if (!settings.listensLate) await network.open()
  const swarm = new Swarm({ settings, key, membership: belonging, reach, folder, storage, network, parts })
  await swarm.open()
  return swarm
}

/** What a swarm knows and writes stays its own, whichever swarm the folder belonged to before. */
function storeFolder (dir: string, { kind, swarmId }: Belonging): string {
  return kind === 'local' ? `${dir}/store` : `${dir}/store-${swarmId}`
}

interface Belonged { readonly belonging: Belonging, readonly reach: Reach, readonly network: LateNetwork }

/** By what the folder keeps, by ticket, or as this user's own. The network may be open already: a ticket is shown over it. */
async function belong (settings: Settings, key: PrivateKey): Promise<Belonged> {
  const { clock, dir, name, random, seams } = settings
  const ticket = settings.ticket === undefined ? undefined : readTicket(settings.ticket)
  const found = dir === undefined ? undefined : await findKept(dir, key.peerId, clock)
  const begin = (kind: SwarmKind, swarmId: string): Pick<Belonged, 'reach' | 'network'> => {
    const reach = reachOf(settings, kind)
    return { reach, network: new LateNetwork(key.peerId, async () => {
      const openNetwork = seams.openNetwork ?? (await import('#network')).openNetwork
      const openOn = async (listen: readonly string[]): Promise<Network> => await openNetwork({ key, listen, announce: settings.announce, swarmId, relay: kind === 'made' ? RELAY : undefined, clock, random })
      return kind === 'made' && dir !== undefined && settings.listen === undefined ? await openAgain(reach.listen, keptPorts(dir), openOn, settings.announce) : await openOn(reach.listen)
    }) }
  }
  if (ticket !== undefined && needsTicket(found, ticket, dir)) {
    const begun = begin('made', swarmIdOf(ticket.swarmPublicKey))
    try {
      await begun.network.open()
      return { ...begun, belonging: await redeemed(ticket, settings, key, begun) }
    } catch (error) {
      await begun.network.close()
      throw error
    }
  }
  const belonging = found !== undefined && dir !== undefined
    ? await belongAs(found, name, dir, { peerId: key.peerId, clock })
    : await joinLocal(key, name, { clock, random, swarmKey: seams.swarmKey })
  return { ...begin(belonging.kind, belonging.swarmId), belonging }
}

/** Lets itself in, and keeps that before anything else is done with it. */
async function redeemed (ticket: Ticket, { clock, dir, name, random, seams }: Settings, key: PrivateKey, { network, reach: { means } }: Pick<Belonged, 'network' | 'reach'>): Promise<Belonging> {
  const { inviters, swarmPublicKey } = ticket
  const swarmId = swarmIdOf(swarmPublicKey)
  const { enterBy } = await import('./entrance.ts') // of no use to who belongs already
  const { grant, swarmKey } = await enterBy({
    ticket, network, clock, random,
    look: means.folder || means.mdns ? async onFound => await lookAround(onFound, means, { swarmId, peerId: key.peerId, clock, random }, seams) : undefined
  })
  const terms = verifyGrant(grant, swarmPublicKey, key.peerId, clock.wallMs())
  if (dir !== undefined) {
    if (swarmKey !== undefined) await keepSwarmKey(dir, swarmKey, random)
    await saveKept(dir, { swarmPublicKey, grant, inviters })
  }
  return await made({ swarmPublicKey, name, grant, terms, swarmKey, inviters, dir })
}

/** Looks for peers of a swarm on this machine and on the LAN, without being found. @returns the way to stop */
async function lookAround (onFound: (peerId: string, addresses: readonly string[]) => void, means: Means, which: Pick<RendezvousOptions, 'swarmId' | 'peerId' | 'clock' | 'random'>, seams: Seams): Promise<() => Promise<void>> {
  const ways: { close (): Promise<void> }[] = []
  if (means.folder) {
    ways.push(await (seams.openRendezvous ?? openRendezvous)({ ...which, onFound: ({ peerId, addresses }) => { onFound(peerId, addresses) }, onGone: () => {} }))
  }
  // What stands in its way is told once this peer is in: it may well find an inviter without.
  const openMdns = means.mdns ? seams.openMdns ?? (await import('#mdns')).openMdns : undefined
  if (openMdns !== undefined) ways.push(await openMdns({ ...which, onFound, onGone: () => {}, onTrouble: () => {} }))
  return async () => { await Promise.all(ways.map(async way => { await way.close() })) }
}

async function keepSwarmKey (dir: string, swarmKey: PrivateKey, random: Random): Promise<void> {
  const path = swarmKeyPath(dir)
  const there = await keepKey(path, swarmKey, random)
  if (there.peerId !== swarmKey.peerId) throw new SwarmError('SWARM_EXISTS', `${path} is the key of another swarm. Join in a folder of its own: --dir FOLDER`, { details: { dir } })
}
