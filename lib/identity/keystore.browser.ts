/**
 * Where a page's keys lie: in the databases of its origin. Whatever script runs in that origin can read them: a site that serves strangers'
 * scripts must serve the peer's page from an origin of its own.
 */
import { keepText, readText } from './disk.browser.ts'
import { readKeyText, writeKeyText } from './key-text.ts'
import { generateKey, type PrivateKey } from './key.ts'
import { SwarmError } from '../base/error.ts'
import type { Random } from '../base/random.ts'

/**
 * Reads the key at `path`, or makes it at first use. Several tabs that come at once end with the same key.
 *
 * @throws SwarmError KEY_INVALID if what is there is no key, VERSION_UNSUPPORTED, FOLDER_UNUSABLE
 */
export async function loadOrCreateKey (path: string, random: Random): Promise<PrivateKey> {
  return await loadKey(path) ?? await keepKey(path, generateKey(random), random)
}

/** Reads the key at `path`; undefined if there is none. @throws SwarmError as `loadOrCreateKey` */
export async function loadKey (path: string): Promise<PrivateKey | undefined> {
  const text = await readText(path)
  return text === undefined ? undefined : readKeyText(path, text)
}

/** Keeps a key at `path`, unless one is kept there. @returns the key that is there now @throws SwarmError as `loadOrCreateKey` */
export async function keepKey (path: string, key: PrivateKey, _random: Random): Promise<PrivateKey> {
  return readKeyText(path, await keepText(path, writeKeyText(key)))
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
