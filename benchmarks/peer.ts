/** A peer in a process of its own, for the benchmarks: does what its parent asks, and answers with what it measured. */
import { joinSwarm, sleep, SwarmError, systemClock, type Swarm } from 'mcp-swarm'
import 'mcp-swarm/testing' // joinSwarm loads the rest at its first call, and this loads it now: `join` measures joining, not loading
import { serveVerbs, type Verbs } from './verbs.ts'

const loadMs = performance.now()

let swarm: Swarm | undefined

const VERBS: Verbs = {
  /** Answers how long it took from the start of the process until the library was loaded. */
  async loaded () {
    return loadMs
  },

  /** Joins; answers how long that took. */
  async join ({ dir, name }) {
    const startMs = performance.now()
    swarm = await joinSwarm({ dir, name })
    return performance.now() - startMs
  },

  /** Offers an agent with one tool, which answers after `delayMs`. */
  async offer ({ agent: name = 'agent', tool = 'echo_back', pool, delayMs = '0' }) {
    const agent = joined().agent(name, { pool })
    agent.tool(tool, { description: 'Answers its text', input: { type: 'object', properties: { text: { type: 'string' } } } }, async ({ text }) => {
      if (delayMs !== '0') await sleep(systemClock, Number(delayMs))
      return text as string
    })
    await agent.start()
  },

  /** Waits until so many providers of the tool are known. */
  async all ({ tool = 'echo_back', count }) {
    while (joined().find({ tool }).length < Number(count)) {
      await new Promise<void>(resolve => {
        const stop = joined().on('tools:changed', () => {
          stop()
          resolve()
        })
      })
    }
  },

  /** Answers how long it took from now until a call of the tool came back. */
  async callable ({ tool = 'echo_back' }) {
    const startMs = performance.now()
    while (joined().find({ tool }).length === 0) {
      await new Promise<void>(resolve => {
        const stop = joined().on('tools:changed', () => {
          stop()
          resolve()
        })
      })
    }
    await joined().call(tool, { text: 'x' })
    return performance.now() - startMs
  },

  /** Answers how long the peer was out of routing after the moment given (milliseconds since 1970). */
  async gone ({ name, sinceMs }) {
    const live = (): boolean => joined().peers().some(peer => peer.name === name)
    if (live()) {
      await new Promise<void>(resolve => {
        const stop = joined().on('peer:left', () => {
          if (live()) return
          stop()
          resolve()
        })
      })
    }
    return Date.now() - Number(sinceMs)
  },

  /** Calls with a deadline; answers how it ended and after how long. */
  async call ({ tool = 'echo_back', timeoutMs }) {
    const startMs = performance.now()
    const code = await joined().call(tool, { text: 'x' }, { timeoutMs: Number(timeoutMs) }).then(() => 'ok', (error: unknown) => error instanceof SwarmError ? error.code : String(error))
    return { code, tookMs: performance.now() - startMs }
  },

  /** Calls many at once, in turn at each of the peers; answers how each ended, and after how long. */
  async crowd ({ peers, count, tool = 'echo_back' }) {
    const names = String(peers).split(',')
    return await Promise.all(Array.from({ length: Number(count) }, async (_, index) => {
      const peer = names[index % names.length] as string
      const startMs = performance.now()
      const code = await joined().call(tool, { text: `${peer} ${index}` }, { peer }).then(
        ({ content }) => JSON.stringify(content).includes(`${peer} ${index}`) ? 'ok' : 'wrong answer',
        (error: unknown) => error instanceof SwarmError ? error.code : String(error)
      )
      return { peer, code, tookMs: performance.now() - startMs }
    }))
  },

  async end () {
    await swarm?.close()
    setImmediate(() => { process.disconnect() })
  }
}

function joined (): Swarm {
  if (swarm === undefined) throw new Error('not joined')
  return swarm
}

serveVerbs(VERBS)
