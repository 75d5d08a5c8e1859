/** The page's script: joins by the ticket in its address, where it needs one, calls a tool, and offers one. */
import { joinSwarm } from 'mcp-swarm'

const ticket = new URLSearchParams(location.hash.slice(1)).get('ticket') ?? undefined
const swarm = await joinSwarm({ name: 'page', dir: 'example', ticket })

// What is shared is kept in the browser, too: `visits` is there the next time, also while nobody else is.
const notes = await swarm.document('notes')
const all = notes.ydoc.getMap<number>('all')
all.set('visits', (all.get('visits') ?? 0) + 1)
await notes.flushed()
await notes.synced({ peers: 1, timeoutMs: 10_000 })

const agent = swarm.agent('page', { description: 'A web page' })
agent.tool('ask_user', { description: 'Asks whoever looks at the page', input: { type: 'object', properties: { question: { type: 'string' } } } },
  ({ question }) => `the user of ${swarm.peerId.slice(-6)} was asked: ${question as string}`)
await agent.start()

await swarm.offered({ tool: 'count_words' }, { timeoutMs: 10_000 })
const { structuredContent } = await swarm.call('count_words', { text: 'to be or not to be' })
document.body.textContent = `${swarm.status().peer.name} has called count_words: ${JSON.stringify(structuredContent)}`
