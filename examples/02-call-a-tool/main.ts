/** Calls tools of an agent in another process: a result, progress, the kinds of errors, a deadline. */
import './apart.ts'
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { joinSwarm, SwarmError } from 'mcp-swarm'

const other = fork(new URL('./agent.ts', import.meta.url))
const ended = once(other, 'exit')
const swarm = await joinSwarm({ name: 'reader' })

try {
  await swarm.offered({ tool: 'count_words' }, { timeoutMs: 10_000 })

  const { structuredContent } = await swarm.call('count_words', { text: 'to be or not to be' })
  console.log('count_words:', structuredContent)
  assert.deepEqual(structuredContent, { words: 6 })

  const seen: number[] = []
  await swarm.call('read_pages', { pages: 5 }, { progress: ({ progress, total }) => { seen.push(progress); console.log(`read_pages: ${progress} of ${total}`) } })
  assert.deepEqual(seen, [1, 2, 3, 4, 5])

  // A tool that ran and failed, or that refused its arguments, has answered: a result that says so.
  const closed = await swarm.call('lend')
  console.log('lend:', closed.isError, closed.content)
  assert.equal(closed.isError, true)
  const refused = await swarm.call('count_words', { text: 7 })
  console.log('count_words of a number:', refused.content)
  assert.equal((refused._meta?.['mcp-swarm/error'] as { code: string }).code, 'INVALID_ARGUMENTS')

  // Whatever kept a call from being answered is a SwarmError with a stable code: docs/ERRORS.md has them all.
  const unknown = await failure(swarm.call('count_wrods', { text: 'x' }))
  console.log(`count_wrods: ${unknown.code}, nearest`, unknown.details['nearest'])
  assert.equal(unknown.code, 'UNKNOWN_TOOL')
  assert.deepEqual(unknown.details['nearest'], ['count_words'])

  // Time is over after the call was sent: it may or may not have run, and only you know whether to repeat it.
  const late = await failure(swarm.call('read_pages', { pages: 1_000 }, { timeoutMs: 100 }))
  console.log(`read_pages with 100 ms: ${late.code}`)
  assert.equal(late.code, 'INDETERMINATE')

  // Or give up yourself: the tool is told to stop.
  const abandoned = await failure(swarm.call('read_pages', { pages: 1_000 }, { signal: AbortSignal.timeout(100) }))
  console.log(`read_pages, given up: ${abandoned.code}`)
  assert.equal(abandoned.code, 'ABORTED')
} finally {
  other.disconnect()
  await ended
  await swarm.close()
}
assert.equal(other.exitCode, 0)

async function failure (call: Promise<unknown>): Promise<SwarmError> {
  return await call.then(
    () => { throw new Error('the call did not fail') },
    (error: unknown) => { if (error instanceof SwarmError) return error; throw error }
  )
}
