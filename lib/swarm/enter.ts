/** The ways into a swarm. What they run is loaded at first use: a program that only looks at a type or an error stays small. */
import type { Invitation, InviteOptions } from './inviting.ts'
import type { MadeSwarm } from './make.ts'
import type { JoinOptions } from './options.ts'
import type { Swarm } from './swarm.ts'

/**
 * Joins the swarm that `dir` belongs to, or that a ticket lets into; without either, this user's own: the peers that this user
 * runs on this machine. Resolves when the peer is ready: it has its key, knows what it knew before, listens, and can be found.
 * It need not have met another yet: see `Swarm.joined`.
 *
 * @throws SwarmError INVALID_OPTION, FOLDER_IN_USE (`details.holder`), FOLDER_UNUSABLE, KEY_EXPOSED, KEY_INVALID,
 *   ADDRESS_INVALID, PORT_IN_USE; in a page without a ticket NEEDS_TICKET; with one TICKET_INVALID, TICKET_EXPIRED, TICKET_USED,
 *   CLOCK_OFF, SWARM_EXISTS, UNREACHABLE if nobody who may let it in answers; NOT_ADMITTED if its membership has ended
 */
export async function joinSwarm (options: JoinOptions = {}): Promise<Swarm> {
  const join = await import('./join.ts')
  return await join.joinSwarm(options)
}

/**
 * Makes a swarm: a folder that belonged to this user's own swarm belongs to the new one from then on, as its admin.
 *
 * @param dir the data folder, made where there is none
 * @throws SwarmError SWARM_EXISTS if it belongs to a made one, FOLDER_IN_USE, FOLDER_UNUSABLE, KEY_EXPOSED, KEY_INVALID
 */
export async function makeSwarm (dir: string): Promise<MadeSwarm> {
  const make = await import('./make.ts')
  return await make.makeSwarm(dir)
}

/**
 * Makes a ticket where no peer runs: it names this folder's peer without an address, and who let it in.
 *
 * @throws SwarmError NOT_ADMIN, INVALID_OPTION, FOLDER_IN_USE, FOLDER_UNUSABLE, KEY_EXPOSED, KEY_INVALID
 */
export async function inviteFrom (dir: string, options: InviteOptions): Promise<Invitation> {
  const make = await import('./make.ts')
  return await make.inviteFrom(dir, options)
}

/** Loads ahead of time what `joinSwarm` needs, which is most of what a first join takes; joins nothing. */
export async function prepareJoin (): Promise<void> {
  await import('./join.ts')
}
