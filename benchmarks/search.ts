/** Searching the tools of a large swarm: how long making the index takes and what it holds, how long a search takes, and for how long others wait meanwhile. */
import { seededRandom } from '../lib/base/random.ts'
import type { GatewayTool } from '../lib/mcp/names.ts'
import { QUERY_WORDS_MAX, ToolSearch } from '../lib/mcp/search.ts'
import { isSmoke, ms, quantile, report } from './rig.ts'

const SIZES = isSmoke ? [500] : [1_000, 10_000]
const CHANGED = 20
const rounds = isSmoke ? 20 : 200

const random = seededRandom(4127)
const VERBS = 'read write list create delete update search send fetch open close rename copy move upload download merge review run stop'.split(' ')
const THINGS = 'file folder issue comment branch commit message channel page table row query invoice customer order image video event task note'.split(' ')
const REST = 'the a of in with for by when from to given path name text user result returns all one new existing matching optional limit filter'.split(' ')
const pick = (words: readonly string[]): string => words[Math.floor(random.next() * words.length)] as string
/** Names and jargon of their own: most words of real descriptions are rare. */
const rare = (): string => `${pick(VERBS)}${Math.floor(random.next() * 5_000).toString(36)}`
const sentence = (words: number): string => Array.from({ length: words }, () => random.next() < 0.15 ? rare() : pick(random.next() < 0.6 ? REST : random.next() < 0.5 ? VERBS : THINGS)).join(' ')

const toolsOf = (count: number): GatewayTool[] => Array.from({ length: count }, (_, index): GatewayTool => {
  const name = `${pick(VERBS)}_${pick(THINGS)}_${index}`
  const agent = `${pick(THINGS)}-server-${index % 500}`
  return {
    name, key: name, agent, peerId: `peer-${index % 500}`, peerName: `peer-${index % 500}`, available: true, capabilities: {}, session: 'shared',
    tool: { name, description: sentence(25), inputSchema: { type: 'object' } }
  }
}).sort((left, right) => left.name < right.name ? -1 : 1)

const heap = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

/** @returns how long the work took, and the longest that it kept others from their turn */
async function timed (work: () => Promise<unknown>): Promise<{ tookMs: number, longestMs: number }> {
  const startMs = performance.now()
  let [lastMs, longestMs, done] = [startMs, 0, false]
  const turn = (): void => {
    const nowMs = performance.now()
    longestMs = Math.max(longestMs, nowMs - lastMs)
    lastMs = nowMs
    if (!done) setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  const tookMs = performance.now() - startMs
  done = true
  return { tookMs, longestMs: Math.max(longestMs, performance.now() - lastMs) }
}

async function measure (count: number): Promise<void> {
  let tools = toolsOf(count)
  const search = new ToolSearch()
  const heapBefore = heap()
  const made = await timed(async () => await search.find(tools, 'warm', 1))
  const heapAfter = heap()
  console.log(`search: ${count} tools, ${rounds} searches of each kind`)
  report('index made at the first search', ms(made.tookMs), '')
  report('longest turn meanwhile', ms(made.longestMs), 'bar 200 ms')
  report('memory of the index', `${((heapAfter - heapBefore) / 2 ** 20).toFixed(1)} MiB${globalThis.gc === undefined ? ' (with --expose-gc: exactly)' : ''}`, '')
  for (const [what, query] of [
    ['two words', () => `${pick(VERBS)} ${pick(THINGS)}`],
    ['five words', () => `${pick(VERBS)} ${pick(THINGS)} ${pick(REST)} ${pick(THINGS)} ${rare()}`],
    ['one word mistyped', () => pick(THINGS).replace(/^(..)(.)/, '$2$1')],
    [`two words, first after ${CHANGED} tools changed`, () => {
      const first = Math.floor(random.next() * (count - CHANGED))
      tools = tools.map((tool, index) => index >= first && index < first + CHANGED ? { ...tool } : tool)
      return `${pick(VERBS)} ${pick(THINGS)}`
    }]
  ] as const) {
    const took: number[] = []
    for (let round = 0; round < rounds; round++) {
      const words = query()
      const atMs = performance.now()
      await search.find(tools, words, 10)
      took.push(performance.now() - atMs)
    }
    report(`${what}: p50`, ms(quantile(took, 0.5)), count <= 1_000 ? 'bar 10 ms' : '')
    report(`${what}: p99`, ms(quantile(took, 0.99)), '')
  }
  const worst = await timed(async () => await search.find(tools, [...VERBS, ...THINGS].slice(0, QUERY_WORDS_MAX).join(' '), 10))
  report(`${QUERY_WORDS_MAX} words that everything has`, ms(worst.tookMs), '')
  report('longest turn meanwhile', ms(worst.longestMs), 'bar 200 ms')
}

for (const count of SIZES) await measure(count)
