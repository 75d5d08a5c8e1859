import type { Invitation, InviteOptions } from './inviting.ts'
import type { MadeSwarm } from './make.ts'
import type { JoinOptions } from './options.ts'
import type { Swarm } from './swarm.ts'

/** As `joinSwarm` of join.ts, which it loads at first use: a program that only looks at a type or an error stays small. */
export async function joinSwarm (options: JoinOptions = {}): Promise<Swarm> {
  const join = await import('./join.ts')
  return await join.joinSwarm(options)
}

/** As `makeSwarm` of make.ts. */
export async function makeSwarm (dir: string): Promise<MadeSwarm> {
  const make = await import('./make.ts')
  return await make.makeSwarm(dir)
}

/** As `inviteFrom` of make.ts. */
export async function inviteFrom (dir: string, options: InviteOptions): Promise<Invitation> {
  const make = await import('./make.ts')
  return await make.inviteFrom(dir, options)
}

/** Loads ahead of time what `joinSwarm` needs, which is most of what a first join takes; joins nothing. */
export async function prepareJoin (): Promise<void> {
  await import('./join.ts')
}
