import { loadOrCreateKey, localKeyPath } from '#keystore'
import { mintGrant, verifyGrant } from '../access/grant.ts'
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { PrivateKey } from '../identity/key.ts'
import { Belonging } from './membership.ts'

/**
 * Membership of this user's own swarm. Whoever can read the user's key file is the user: such a process grants itself the
 * role of admin. The grant has no end, for it can be made anew at any time.
 *
 * @param swarmKey default: the key in the user's data folder, made at first use
 * @throws SwarmError KEY_EXPOSED, KEY_INVALID, FOLDER_UNUSABLE; NEEDS_TICKET in a page
 */
export async function joinLocal (key: PrivateKey, name: string, parts: { clock: Clock, random: Random, swarmKey?: PrivateKey }): Promise<Belonging> {
  const swarmKey = parts.swarmKey ?? await loadOrCreateKey(localKeyPath(), parts.random)
  const grant = mintGrant(swarmKey, { peerId: key.peerId, role: 'admin', issuedAtMs: Math.floor(parts.clock.wallMs()), memberUntilMs: null })
  const terms = verifyGrant(grant, swarmKey.publicKey, key.peerId, parts.clock.wallMs())
  return new Belonging({ kind: 'local', swarmPublicKey: swarmKey.publicKey, name, grant, terms, swarmKey })
}
