/** Searching the tools of a large swarm: how long making the index takes and what it holds, and how long a search takes. */
import { seededRandom } from '../lib/base/random.ts'
import type { GatewayTool } from '../lib/mcp/names.ts'
import { ToolSearch } from '../lib/mcp/search.ts'
import { isSmoke, ms, quantile, report } from './rig.ts'

const TOOLS = isSmoke ? 500 : 10_000
const rounds = isSmoke ? 20 : 500

const random = seededRandom(4127)
const VERBS = 'read write list create delete update search send fetch open close rename copy move upload download merge review run stop'.split(' ')
const THINGS = 'file folder issue comment branch commit message channel page table row query invoice customer order image video event task note'.split(' ')
const REST = 'the a of in with for by when from to given path name text user result returns all one new existing matching optional limit filter'.split(' ')
const pick = (words: readonly string[]): string => words[Math.floor(random.next() * words.length)] as string
/** Names and jargon of their own: most words of real descriptions are rare. */
const rare = (): string => `${pick(VERBS)}${Math.floor(random.next() * 5_000).toString(36)}`
const sentence = (words: number): string => Array.from({ length: words }, () => random.next() < 0.15 ? rare() : pick(random.next() < 0.6 ? REST : random.next() < 0.5 ? VERBS : THINGS)).join(' ')

const tools = Array.from({ length: TOOLS }, (_, index): GatewayTool => {
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
const search = new ToolSearch()
const [heapBefore, startMs] = [heap(), performance.now()]
search.find(tools, 'warm', 1)
const buildMs = performance.now() - startMs
const heapAfter = heap()

function measure (query: () => string): number[] {
  return Array.from({ length: rounds }, () => {
    const words = query()
    const atMs = performance.now()
    search.find(tools, words, 10)
    return performance.now() - atMs
  })
}

const short = measure(() => `${pick(VERBS)} ${pick(THINGS)}`)
const long = measure(() => `${pick(VERBS)} ${pick(THINGS)} ${pick(REST)} ${pick(THINGS)} ${rare()}`)
const mistyped = measure(() => pick(THINGS).replace(/^(..)(.)/, '$2$1'))
const changed = Array.from({ length: isSmoke ? 5 : 50 }, (_, round) => {
  const renewed = tools.map((tool, index) => index % 500 === round ? { ...tool } : tool)
  const atMs = performance.now()
  search.find(renewed, 'file', 10)
  return performance.now() - atMs
})

console.log(`search: ${TOOLS} tools, ${rounds} searches of each kind`)
report('index made at the first search', ms(buildMs), '')
report('memory of the index', `${((heapAfter - heapBefore) / 2 ** 20).toFixed(1)} MiB${globalThis.gc === undefined ? ' (with --expose-gc: exactly)' : ''}`, '')
for (const [what, took] of [['two words', short], ['five words', long], ['one word mistyped', mistyped], [`first after ${TOOLS / 500} tools changed`, changed]] as const) {
  report(`search, ${what}: p50`, ms(quantile(took, 0.5)), '')
  report(`search, ${what}: p99`, ms(quantile(took, 0.99)), 'bar 10 ms')
}
