/** The script of the test's page: a peer, which does what the test asks of it. */
import { joinSwarm, type Document, type Swarm } from 'mcp-swarm'

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
  join: async ({ options }: { options: Parameters<typeof joinSwarm>[0] }) => {
    const startedMs = performance.now()
    swarm = await joinSwarm(options)
    return { peerId: swarm.peerId, tookMs: performance.now() - startedMs }
  },
  meet: async ({ timeoutMs }: { timeoutMs: number }) => { await joined().joined({ timeoutMs }) },
  status: () => joined().status(),
  peers: () => joined().peers().map(({ name }) => name).sort(),
  tools: () => joined().tools().map(({ tool }) => tool.name).sort(),
  offered: async ({ tool }: { tool: string }) => { await joined().offered({ tool }, { timeoutMs: 10_000 }) },
  call: async ({ tool, args }: { tool: string, args: Record<string, string> }) => await joined().call(tool, args),
  offer: async ({ name, tool, says }: { name: string, tool: string, says: string }) => {
    const agent = joined().agent(name)
    agent.tool(tool, { description: 'Greets', input: { type: 'object', properties: { who: { type: 'string' } } } }, ({ who }) => `${says} ${who as string}`)
    await agent.start()
  },
  write: async ({ document, key, value }: { document: string, key: string, value: string }) => {
    const there = await opened(document)
    there.ydoc.getMap('all').set(key, value)
    await there.flushed()
  },
  leave: async () => {
    documents.clear()
    await swarm?.close()
    swarm = undefined
  }
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
