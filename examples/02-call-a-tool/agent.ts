/** A program that offers tools of its own: a peer with one agent. main.ts starts it, and calls it. */
import './apart.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { joinSwarm } from 'mcp-swarm'
import { z } from 'zod'

const swarm = await joinSwarm({ name: 'library' })
const agent = swarm.agent('analyst', { description: 'Reads texts' })

// The schema is what callers see, what arguments are checked against, and the type of `text` here.
agent.tool('count_words', {
  description: 'Counts the words of a text',
  input: z.object({ text: z.string().min(1) }),
  output: z.object({ words: z.int() }),
  annotations: { readOnlyHint: true }
}, ({ text }) => ({ words: text.split(/\s+/).length }))

// `signal` fires when the caller gives up or its time is over; nobody reads what comes after that.
agent.tool('read_pages', {
  description: 'Reads slowly, and says how far it is',
  input: z.object({ pages: z.int().min(1).max(1_000) })
}, async ({ pages }, { signal, progress }) => {
  for (let page = 1; page <= pages; page++) {
    await sleep(20, undefined, { signal })
    progress(page, pages)
  }
  return `read ${pages} pages`
})

// What a handler throws is the caller's to read, as a result with `isError`.
agent.tool('lend', { description: 'Lends a book' }, () => { throw new Error('the library is closed') })

await agent.start()
process.once('disconnect', () => { void swarm.close() })
