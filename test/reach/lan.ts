/** Members of one swarm on hosts of their own, for tests and benchmarks of how they find each other. */
import type { Status } from '../../lib/swarm/status.ts'
import type { Host, Hosts } from '../support/hosts.ts'
import type { Program } from '../support/program.ts'

const MEMBER = new URL('./member.ts', import.meta.url)

/** By mDNS and by nothing else: what was remembered, and what others tell, is there all the same. */
const ONLY_MDNS = { folder: false, mdns: true, dht: false }

export class Member {
  readonly host: Host
  readonly name: string
  peerId = ''
  program: Program

  constructor (host: Host, program: Program) {
    this.host = host
    this.name = `peer-${host.index}`
    this.program = program
  }

  /** Joins, and says when it began to, in milliseconds since 1970. */
  async join (what: Record<string, unknown> = {}): Promise<number> {
    const { peerId, startedMs } = await this.program.ask<{ peerId: string, startedMs: number }>('join', { name: this.name, discovery: ONLY_MDNS, ...what })
    this.peerId = peerId
    return startedMs
  }

  async leave (): Promise<void> {
    await this.program.ask('leave')
  }

  /** Ends it as a crash does, and gives it a new process, which has not joined. */
  async crash (): Promise<void> {
    await this.program.kill()
    this.program = await this.host.start(MEMBER)
  }

  /** Waits until it can call another. @returns when, in milliseconds since 1970 */
  async reach (other: Member, boundMs = 20_000): Promise<number> {
    const { at, said } = await this.program.ask<{ at: number, said: readonly { text?: string }[] }>('reach', { peer: other.name, boundMs }, boundMs + 5_000)
    if (said[0]?.text !== other.name) throw new Error(`${other.name} says ${JSON.stringify(said)}`)
    return at
  }

  async status (): Promise<Status> {
    return await this.program.ask<Status>('status')
  }
}

/** Peers of one swarm, one on each host, none of which runs: the first has let the others in, one after the other. */
export async function members (rig: Pick<Hosts, 'hosts'>): Promise<Member[]> {
  const all = await Promise.all(rig.hosts.map(async host => new Member(host, await host.start(MEMBER))))
  const [admin, ...others] = all as [Member, ...Member[]]
  await admin.program.ask('make')
  await admin.join()
  const ticket = await admin.program.ask<string>('invite', { uses: others.length })
  for (const other of others) {
    await other.join({ ticket })
    await other.reach(admin)
    await other.leave()
  }
  await admin.leave()
  return all
}
