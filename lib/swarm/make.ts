/** What a person does to a data folder without running its peer: make a swarm in it, and make tickets for that swarm. */
import { holdFolder } from '#folder'
import { keepKey, loadOrCreateKey } from '#keystore'
import { loadKept, saveKept } from '#kept'
import { processId } from '#platform'
import { mintGrant, swarmIdOf, verifyGrant } from '../access/grant.ts'
import type { Inviter } from '../access/ticket.ts'
import { systemClock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { systemRandom } from '../base/random.ts'
import { generateKey, type PrivateKey } from '../identity/key.ts'
import { invite, type Invitation, type InviteOptions } from './inviting.ts'
import { belongAs, findKept, made, swarmKeyPath, type Belonging } from './membership.ts'

const parts = { clock: systemClock, random: systemRandom }

export interface MadeSwarm {
  /** The swarm's: 26 of `a-z 2-7`. */
  readonly id: string
  /** Six, to compare aloud. */
  readonly words: string
  /** This folder's peer: its first admin. */
  readonly peerId: string
}

/** See `makeSwarm` of enter.ts. */
export async function makeSwarm (dir: string): Promise<MadeSwarm> {
  return await holding(dir, async key => {
    const kept = await loadKept(dir)
    if (kept !== undefined) throw new SwarmError('SWARM_EXISTS', `the folder ${dir} belongs to swarm ${swarmIdOf(kept.swarmPublicKey)} already. Make another in a folder of its own: --dir FOLDER`, { details: { dir, swarm: swarmIdOf(kept.swarmPublicKey) } })
    // One that is there was left by a power cut between the two files: it has let nobody in.
    const swarmKey = await keepKey(swarmKeyPath(dir), generateKey(parts.random), parts.random)
    const grant = mintGrant(swarmKey, { peerId: key.peerId, role: 'admin', issuedAtMs: Math.floor(parts.clock.wallMs()), memberUntilMs: null })
    const terms = verifyGrant(grant, swarmKey.publicKey, key.peerId, parts.clock.wallMs())
    await saveKept(dir, { swarmPublicKey: swarmKey.publicKey, grant, inviters: [] })
    const { swarmId, words } = await made({ swarmPublicKey: swarmKey.publicKey, name: '', grant, terms })
    return { id: swarmId, words: words ?? '', peerId: key.peerId }
  })
}

/** See `inviteFrom` of enter.ts. */
export async function inviteFrom (dir: string, options: InviteOptions): Promise<Invitation> {
  return await holding(dir, async key => {
    const found = await findKept(dir, key.peerId, parts.clock)
    if (found === undefined) throw new SwarmError('NOT_ADMIN', `the folder ${dir} belongs to no swarm that others can be let into: make one first, with mcp-swarm init`)
    const belonging: Belonging = await belongAs(found, '', dir, { peerId: key.peerId, clock: parts.clock })
    const own: Inviter = { peerId: key.peerId, addresses: [] }
    return invite(belonging, [own, ...belonging.inviters], options, parts)
  })
}

async function holding<Result> (dir: string, work: (key: PrivateKey) => Promise<Result>): Promise<Result> {
  const lock = await holdFolder(dir, { pid: processId, name: 'mcp-swarm', startedAtMs: parts.clock.wallMs() })
  try {
    return await work(await loadOrCreateKey(`${dir}/peer.key`, parts.random))
  } finally {
    await lock.release()
  }
}
