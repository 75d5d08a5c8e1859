import type { PrivateKey } from './key.ts'
import { SwarmError } from '../base/error.ts'
import type { Random } from '../base/random.ts'

/** A page has no files, so it keeps no key: each visit makes its own and is let in by its ticket. */
export async function loadOrCreateKey (path: string, _random: Random): Promise<PrivateKey> {
  throw needsTicket(path)
}

export async function loadKey (path: string): Promise<PrivateKey | undefined> {
  throw needsTicket(path)
}

export async function keepKey (path: string, _key: PrivateKey, _random: Random): Promise<PrivateKey> {
  throw needsTicket(path)
}

export function localKeyPath (): string {
  throw needsTicket('the local swarm\'s key')
}

export function userDataFolder (): string {
  throw needsTicket('the user\'s data folder')
}

function needsTicket (what: string): SwarmError {
  return new SwarmError('NEEDS_TICKET', `a page cannot read ${what}: join with a ticket`)
}
