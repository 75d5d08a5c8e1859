/** The script of the test's page: a peer, which does what the test asks of it. */
import { joinSwarm, makeSwarm, type Document, type JoinOptions, type Swarm } from 'mcp-swarm'
import { storageActs } from './storage.ts'

let swarm: Swarm | undefined
const documents = new Map<string, Document>()

const joined = (): Swarm => {
  if (swarm === undefined) throw new Error('this page has not joined')
  return swarm
}

const opened = async (name: string): Promise<Document> => {
  const document = documents.get(name) ?? await joined().document(name)
  documents.set(name, document)
  return document
}

/** What is asked for by name; all of it passes as plain JSON. */
const acts: Readonly<Record<string, (what: never) => unknown>> = {
  join: async (options: JoinOptions) => {
    const startedMs = performance.now()
    swarm = await joinSwarm(options)
    return { peerId: swarm.peerId, tookMs: performance.now() - startedMs }
  },
  make: async ({ dir }: { dir: string }) => await makeSwarm(dir),
  status: () => joined().status(),
  peers: () => joined().peers().map(({ name }) => name).sort(),
  /** Waits until nobody else is there. */
  alone: async () => {
    while (joined().peers().length > 0) await new Promise(resolve => { joined().on('peer:left', resolve) })
  },
  tools: () => joined().tools().map(({ tool }) => tool.name).sort(),
  /** Waits until a tool is offered, and calls it. */
  call: async ({ tool, args, timeoutMs = 10_000 }: { tool: string, args: Record<string, string>, timeoutMs?: number }) => {
    await joined().offered({ tool }, { timeoutMs })
    const { content } = await joined().call(tool, args, { timeoutMs })
    return content
  },
  /** Calls a tool again and again until its peer can be reached. */
  reach: async ({ tool, args }: { tool: string, args: Record<string, string> }) => {
    await joined().offered({ tool }, { timeoutMs: 10_000 })
    for (;;) {
      try {
        return (await joined().call(tool, args)).content
      } catch (error) {
        if ((error as { code?: string }).code !== 'UNREACHABLE') throw error
        await new Promise(resolve => { setTimeout(resolve, 50) })
      }
    }
  },
  offer: async ({ tool, says }: { tool: string, says: string }) => {
    const agent = joined().agent(`offers-${tool}`)
    agent.tool(tool, { description: 'Greets', input: { type: 'object', properties: { who: { type: 'string' } } } }, ({ who }) => `${says} ${who as string}`)
    await agent.start()
  },
  write: async ({ document, key, value }: { document: string, key: string, value: string }) => {
    const there = await opened(document)
    there.ydoc.getMap('all').set(key, value)
    await there.flushed()
  },
  /** Edits until one of them cannot be flushed. */
  fill: async ({ document, bytes, edits }: { document: string, bytes: number, edits: number }) => {
    const there = await opened(document)
    for (let written = 0; written < edits; written++) {
      // What can be packed takes no room.
      const noise = Uint8Array.from({ length: bytes }, () => 97 + Math.floor(Math.random() * 26))
      there.ydoc.getMap('all').set(`edit ${written}`, new TextDecoder().decode(noise))
      try {
        await there.flushed()
      } catch (error) {
        return { written, code: (error as { code?: string }).code }
      }
    }
    return { written: edits, code: 'written' }
  },
  flushed: async ({ document }: { document: string }) => {
    const there = await opened(document)
    while (await there.flushed().then(() => false, (error: unknown) => (error as { code?: string }).code === 'DISK_FAILED')) await new Promise(resolve => { setTimeout(resolve, 100) })
  },
  synced: async ({ document, peers }: { document: string, peers: number }) => { await (await opened(document)).synced({ peers, timeoutMs: 10_000 }) },
  read: async ({ document }: { document: string }) => (await opened(document)).ydoc.getMap('all').toJSON(),
  /** Waits until a document holds a value. */
  sees: async ({ document, key, value }: { document: string, key: string, value: string }) => {
    const { ydoc } = await opened(document)
    const all = ydoc.getMap('all')
    while (all.get(key) !== value) await new Promise(resolve => { ydoc.once('update', resolve) })
  },
  /** Asks for logs, from the next load on. */
  debug: ({ names }: { names: string }) => { localStorage.setItem('debug', names) },
  leave: async () => {
    documents.clear()
    await swarm?.close()
    swarm = undefined
  },
  ...storageActs
}

async function act (name: string, what: unknown): Promise<unknown> {
  try {
    const found = acts[name]
    if (found === undefined) throw new Error(`no act ${name}`)
    return { answer: await found(what as never) }
  } catch (thrown) {
    const { code = null, message = String(thrown), details = {} } = thrown as { code?: string, message?: string, details?: unknown }
    return { error: { code, message, details } }
  }
}

Object.assign(globalThis, { act })
