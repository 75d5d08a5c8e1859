/** Our gateways' clients at agents of this very peer, which no stream tells of: an agent that keeps a server for each hears when one comes and goes. */
import type { Caller, HostedAgent } from '../mcp/host.ts'

export class Clients {
  readonly #self: Caller
  readonly #here = new Map<string, Map<HostedAgent, () => void>>()

  constructor (self: Caller) {
    this.#self = self
  }

  /** A client asks something of an agent, for the first time perhaps. */
  enter (agent: HostedAgent, session: string | undefined): void {
    if (session === undefined || agent.enter === undefined) return
    const agents = this.#here.get(session) ?? new Map<HostedAgent, () => void>()
    if (agents.has(agent)) return
    this.#here.set(session, agents.set(agent, agent.enter(this.#self, session)))
  }

  /** A client has gone. @param mayReturn with answers to what it was asked */
  end (session: string, mayReturn: boolean): void {
    for (const [agent, leave] of this.#here.get(session) ?? []) {
      leave()
      if (!mayReturn) agent.left?.(this.#self, session)
    }
    this.#here.delete(session)
  }
}
