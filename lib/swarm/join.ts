import { holdFolder } from '#folder'
import { loadOrCreateKey } from '#keystore'
import { processId } from '#platform'
import { generateKey } from '../identity/key.ts'
import { openReopening } from '../storage/reopen.ts'
import { LateNetwork } from './late-network.ts'
import { joinLocal } from './local.ts'
import { settle, type JoinOptions, type Settings } from './options.ts'
import { Parts } from './parts.ts'
import { Swarm } from './swarm.ts'

/**
 * Joins this user's own swarm: the peers that this user runs on this machine. Resolves when the peer is ready: it has its
 * key, knows what it knew before, listens, and can be found. It need not have met another yet: see `Swarm.joined`.
 *
 * @throws SwarmError INVALID_OPTION, FOLDER_IN_USE (`details.holder`), FOLDER_UNUSABLE, KEY_EXPOSED, KEY_INVALID,
 *   ADDRESS_INVALID, PORT_IN_USE; in a page NEEDS_TICKET
 */
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
  const { clock, dir, name, random, seams } = settings
  if (dir !== undefined) {
    const lock = await holdFolder(dir, { pid: processId, name, startedAtMs: clock.wallMs() })
    parts.add(async () => { await lock.release() })
  }
  const key = dir === undefined ? generateKey(random) : await loadOrCreateKey(`${dir}/peer.key`, random)
  const membership = await joinLocal(key, name, { clock, random, swarmKey: seams.swarmKey })
  const storage = await openReopening(dir === undefined ? undefined : `${dir}/store`)
  parts.add(async () => { await storage.close() })
  const network = new LateNetwork(key.peerId, async () => {
    const openNetwork = seams.openNetwork ?? (await import('#network')).openNetwork
    return await openNetwork({ key, listen: settings.listen, clock, random })
  })
  parts.add(async () => { await network.close() })
  if (!settings.listensLate) await network.open()
  const swarm = new Swarm({ settings, key, membership, storage, network, parts })
  await swarm.open()
  return swarm
}
