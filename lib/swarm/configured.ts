/**
 * The servers that the config file shares, while the file changes: one change after another, each whole before the next, so
 * that no server ever has two processes.
 */
import { SwarmError, assert, messageOf } from '../base/error.ts'
import type { SharedServer } from '../mcp/share.ts'
import { changesOf, type ConfigChanges } from './changes.ts'
import type { Config } from './config.ts'
import { offerServer, rulesOf, type Sharing } from './sharing.ts'

export class Configured {
  readonly #sharing: Sharing
  readonly #onAllowed: () => void
  readonly #servers = new Map<string, SharedServer>()
  #config: Config | undefined
  #turn: Promise<unknown> = Promise.resolve()

  /** @param onAllowed called when only who may use a server has changed: others are to ask again */
  constructor (sharing: Sharing, onAllowed: () => void) {
    this.#sharing = sharing
    this.#onAllowed = onAllowed
  }

  /** Offers what the first config shares. A server that does not start costs only itself, and is tried again. */
  open (config: Config): void {
    this.#config = config
    for (const name of config.swarm.share) this.#offer(config, name)
  }

  /**
   * Makes what is shared as another config says. Resolves when what is no longer shared has ended and what is new is offered,
   * though it may still be starting.
   *
   * @throws SwarmError CLOSED
   */
  async change (config: Config): Promise<ConfigChanges> {
    const turn = this.#turn.then(async () => await this.#change(config))
    this.#turn = turn.catch(() => undefined) // whoever asked for it hears
    return await turn
  }

  /** Resolves when no change is under way. */
  async settled (): Promise<void> {
    await this.#turn
  }

  async #change (config: Config): Promise<ConfigChanges> {
    const { closing, hosting } = this.#sharing
    const isClosed = (): boolean => closing.aborted
    if (isClosed()) throw new SwarmError('CLOSED', 'the swarm is closed')
    const changes = changesOf(this.#config, config)
    this.#config = config
    for (const name of changes.allowed) {
      if (this.#isOurs(name)) hosting.setRules(name, rulesOf(config.swarm.allow[name]))
    }
    if (changes.allowed.length > 0) this.#onAllowed()
    await Promise.all([...changes.removed, ...changes.replaced].map(async name => {
      const server = this.#servers.get(name)
      if (this.#isOurs(name)) hosting.remove(name)
      this.#servers.delete(name)
      await server?.close()
    }))
    if (isClosed()) throw new SwarmError('CLOSED', 'the swarm is closed')
    for (const name of config.swarm.share) {
      if (changes.added.includes(name) || changes.replaced.includes(name)) this.#offer(config, name)
    }
    return changes
  }

  /** Whether what is offered under a name came from the config, and not from the program. */
  #isOurs (name: string): boolean {
    const server = this.#servers.get(name)
    return server !== undefined && this.#sharing.hosting.get(name)?.agent === server
  }

  #offer ({ servers, swarm }: Config, name: string): void {
    const { closing, troubles } = this.#sharing
    const source = servers[name]
    assert(source !== undefined, 'a config shares only servers that it lists')
    try {
      const server = offerServer(source, { name, pool: swarm.pool[name], allow: swarm.allow[name], session: swarm.session[name] }, this.#sharing)
      this.#servers.set(name, server)
      server.ready().catch((error: unknown) => {
        const isStill = this.#servers.get(name) === server && !closing.aborted
        if (isStill) troubles.note(error instanceof SwarmError ? error.code : 'SERVER_FAILED', messageOf(error))
      })
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      troubles.note(error.code, `server ${name} is not shared: ${error.message}`)
    }
  }
}
