/**
 * `connect`: the gateway on standard input and output, for an MCP client's config. It relays to whoever holds the data
 * folder; where nobody does, it becomes the peer itself, and then the next `connect` relays to it. When the holder dies,
 * every `connect` that relied on it tries to take the folder: one wins, the others relay to that one.
 *
 * Standard output carries the protocol and nothing else. A `connect` that only relays loads what a peer needs a moment after
 * its client is served: quick to start, and quick to take over.
 */
import { duplexPair, type Duplex } from 'node:stream'
import { prepareJoin, sleep, SwarmError, systemClock } from 'mcp-swarm'
import { keepCode } from './code.ts'
import { readLines, writeLine } from './lines.ts'
import { useFolder } from './folder.ts'
import { Relay, type Effect } from './relay.ts'
import type { ShowOptions } from './request.ts'
import { findPlace, type CommonOptions, type Place } from './settings.ts'
import { askedToEnd, fired } from './signal.ts'
import { reachHolder } from './socket.ts'
import type { Terminal } from './terminal.ts'
import { plainLine } from './text.ts'
import type { Holder } from './peer.ts'

/** How long finding or becoming a holder may take, in milliseconds. */
export const TAKEOVER_MS_MAX = 10_000

/** How long answers may still come after standard input has ended, in milliseconds; counted from when a peer was there to ask. */
export const LAST_ANSWERS_MS_MAX = 5_000

/** Pause before the next try when a holder was there and left at once, in milliseconds. */
const PAUSE_MS = 25

/** How long a peer where nobody else is leaves listening for after the first list of tools, in milliseconds. */
const LISTEN_MS_MAX = 1_000

/** How long a client has been served by another process before this one makes ready to take over, in milliseconds. */
const READY_MS = 500

export interface ConnectOptions extends CommonOptions, ShowOptions {}

export async function connect (options: ConnectOptions, terminal: Terminal): Promise<void> {
  const session = new Session(findPlace(options), { prefix: options.prefix, tools: options.tools }, terminal)
  const asked = askedToEnd()
  void fired(asked).then(() => { session.end() })
  try {
    await Promise.all([session.readClient(), session.serve()])
  } finally {
    await session.close()
  }
}

class Session {
  readonly #place: Place
  readonly #show: ShowOptions
  readonly #terminal: Terminal
  readonly #relay = new Relay()
  readonly #ending = new AbortController()
  /** The way to the present holder. */
  #link: Duplex | undefined
  /** The peer in this process, once it is the holder. */
  #own: Holder | undefined
  #clientEnded = false
  /** What keeps the peer in this process from being met. */
  #failure: Error | undefined

  constructor (place: Place, show: ShowOptions, terminal: Terminal) {
    this.#place = place
    this.#show = show
    this.#terminal = terminal
  }

  async readClient (): Promise<void> {
    const stop = (): void => { process.stdin.destroy() }
    this.#ending.signal.addEventListener('abort', stop)
    try {
      for await (const line of readLines(process.stdin)) await this.#perform(this.#relay.fromClient(line))
    } catch (error) {
      if (!this.#ending.signal.aborted) throw error
    }
    this.#clientEnded = true
    if (this.#relay.waiting === 0) return this.end()
    if (this.#link !== undefined) this.#boundLastAnswers()
  }

  /** Relays to one holder after another until the client has gone. */
  async serve (): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const link = await this.#findHolder()
      if (link === undefined) return
      if (this.#ending.signal.aborted) return void link.destroy() // the client has gone meanwhile
      this.#link = link
      if (this.#own === undefined) this.#makeReady()
      if (this.#clientEnded) this.#boundLastAnswers()
      await this.#perform(this.#relay.attached())
      try {
        for await (const line of readLines(link)) {
          await this.#perform(this.#relay.fromHolder(line))
          if (this.#relay.hasListed) this.#goOn()
          if (this.#clientEnded && this.#relay.waiting === 0) this.end()
        }
      } catch (error) {
        if (!this.#ending.signal.aborted) this.#terminal.note(`mcp-swarm: lost the peer that served this connection: ${error instanceof Error ? error.message : String(error)}`)
      }
      link.destroy()
      this.#link = undefined
      await this.#perform(this.#relay.lost())
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  /** No more of anything. */
  end (): void {
    this.#ending.abort()
    this.#link?.destroy()
  }

  async close (): Promise<void> {
    this.end()
    await this.#own?.close()
  }

  #boundLastAnswers (): void {
    systemClock.after(LAST_ANSWERS_MS_MAX, () => { this.end() })
  }

  async #findHolder (): Promise<Duplex | undefined> {
    try {
      if (this.#own !== undefined) await sleep(systemClock, PAUSE_MS, this.#ending.signal)
      return await useFolder(TAKEOVER_MS_MAX, this.#ending.signal, async () => {
        if (this.#own !== undefined) return await this.#openOwn(this.#own)
        const socket = await reachHolder(this.#place.dir)
        if (socket !== undefined) await writeLine(socket, JSON.stringify({ do: 'mcp', ...this.#show }))
        return socket
      }, async () => {
        const [{ becomeHolder }] = await loadPeer()
        this.#own = await becomeHolder(this.#place, { listensLate: !this.#relay.hasListed })
        systemClock.after(LISTEN_MS_MAX, () => { this.#listen() })
        this.#own.swarm.on('trouble', ({ code, message }) => { this.#terminal.note(`mcp-swarm: ${code}: ${plainLine(message)}`) })
        return await this.#openOwn(this.#own)
      })
    } catch (error) {
      if (this.#ending.signal.aborted) return undefined
      const [code, why] = error instanceof SwarmError ? [error.code, error.message] : ['UNAVAILABLE', String(error)]
      await this.#perform(this.#relay.failed(code, why))
      throw error
    }
  }

  /** What the client waits for came first. Now the peer loads what it takes to meet others. */
  #goOn (): void {
    if (this.#own !== undefined) keepCode(this.#own.swarm.addresses().length === 0)
    this.#listen()
  }

  #listen (): void {
    if (this.#ending.signal.aborted) return
    this.#own?.swarm.listen().catch((error: unknown) => {
      if (this.#ending.signal.aborted) return
      this.#failure = error instanceof Error ? error : new Error(String(error))
      this.end()
    })
  }

  async #openOwn ({ swarm }: Holder): Promise<Duplex> {
    const [, { serveGateway }] = await loadPeer()
    const [near, far] = duplexPair()
    serveGateway(swarm, far, this.#show).catch((error: unknown) => { near.destroy(error instanceof Error ? error : undefined) })
    return near
  }

  /** Loading takes half of a takeover. A loading that fails is told when it is needed. */
  #makeReady (): void {
    systemClock.after(READY_MS, () => { Promise.all([loadPeer(), prepareJoin()]).catch(() => undefined) })
  }

  async #perform (effects: readonly Effect[]): Promise<void> {
    await Promise.all(effects.map(async ({ to, line }) => {
      const stream = to === 'client' ? process.stdout : this.#link
      if (stream !== undefined) await writeLine(stream, line)
    }))
  }
}

async function loadPeer () {
  return await Promise.all([import('./peer.ts'), import('./gateway.ts')])
}
