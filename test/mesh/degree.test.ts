import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom, type Random } from '../../lib/base/random.ts'
import { CLOSING_MIN, FULL_MAX, LINKS_CROWD, LINKS_MAX, LINKS_MIN, PICKS, UNUSED_MS, picksOf, planLinks, type LinkUse } from '../../lib/mesh/degree.ts'

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

function peersOf (random: Random, count: number): string[] {
  return Array.from({ length: count }, () => `12D3KooW${Array.from({ length: 44 }, () => ALPHABET[Math.floor(random.next() * ALPHABET.length)]).join('')}`)
}

/** Who is linked with whom if all pick. */
function graphOf (peers: readonly string[]): Map<string, Set<string>> {
  const graph = new Map(peers.map(peerId => [peerId, new Set<string>()]))
  for (const own of peers) {
    for (const other of picksOf(own, peers)) {
      graph.get(own)?.add(other)
      graph.get(other)?.add(own)
    }
  }
  return graph
}

/** Peers reached from the first, and in how many steps the last of them. */
function reach (graph: ReadonlyMap<string, ReadonlySet<string>>): { readonly count: number, readonly steps: number } {
  let edge = [...graph.keys()].slice(0, 1)
  const seen = new Set(edge)
  let steps = 0
  for (; edge.length > 0; steps++) {
    edge = edge.flatMap(peerId => [...graph.get(peerId) ?? []].filter(other => !seen.has(other) && seen.add(other)))
  }
  return { count: seen.size, steps: steps - 1 }
}

test('up to a size everyone is linked with everyone', () => {
  const [own = '', ...others] = peersOf(seededRandom(1), FULL_MAX)
  assert.equal([...planLinks(own, new Set(others), []).wanted].sort(), others.sort())
})

test('the picks of all make one connected graph, of few links each and few steps across', () => {
  const seed = 8_117
  console.log(`graphs: seed ${seed}`)
  const random = seededRandom(seed)
  for (const [count, rounds] of [[FULL_MAX + 1, 400], [30, 200], [50, 200], [100, 100], [300, 20], [1_000, 4]] as const) {
    for (let round = 0; round < rounds; round++) {
      const graph = graphOf(peersOf(random, count))
      const { count: reached, steps } = reach(graph)
      assert.is(reached, count, `${reached} of ${count} reached in round ${round}`)
      assert.ok(steps <= 8, `${steps} steps across ${count}`)
      const degrees = [...graph.values()].map(({ size }) => size)
      assert.ok(Math.min(...degrees) >= PICKS && Math.max(...degrees) <= 24, `${Math.min(...degrees)} to ${Math.max(...degrees)} links`)
      const mean = degrees.reduce((sum, degree) => sum + degree, 0) / count
      assert.ok(mean > 5.5 && mean <= 8, `${mean} links each`)
    }
  }
})

test('a graph of which a third has gone is still connected before anybody picks anew', () => {
  const seed = 8_118
  console.log(`broken graphs: seed ${seed}`)
  const random = seededRandom(seed)
  let whole = 0
  for (let round = 0; round < 50; round++) {
    const graph = graphOf(peersOf(random, 100))
    const left = new Set([...graph.keys()].slice(0, 67))
    const rest = new Map([...left].map(peerId => [peerId, new Set([...graph.get(peerId) ?? []].filter(other => left.has(other)))]))
    if (reach(rest).count === 67) whole++
  }
  assert.ok(whole >= 45, `${whole} of 50`)
})

test('one that joins moves few links', () => {
  const peers = peersOf(seededRandom(3), 101)
  const before = peers.slice(1)
  const moved = before.filter(own => picksOf(own, before).some(peerId => !picksOf(own, peers).includes(peerId)))
  assert.ok(moved.length <= 3 * PICKS, `${moved.length} of 100 pick otherwise`)
})

test('one that too few have picked makes links of its own, and no more than that', () => {
  const [own = '', ...others] = peersOf(seededRandom(4), 50)
  const picks = picksOf(own, others)
  const { wanted } = planLinks(own, new Set(others), [])
  assert.is(wanted.size, LINKS_MIN)
  for (const peerId of picks) assert.ok(wanted.has(peerId))
  const links = others.filter(peerId => !picks.includes(peerId)).slice(0, 2).map(peerId => linked(peerId, { isOurs: false }))
  assert.equal([...planLinks(own, new Set(others), links).wanted].sort(), [...picks].sort())
})

test('links that are nobody\'s pick are closed once they are of no use, by who dialled', () => {
  const [own = '', ...others] = peersOf(seededRandom(5), 100)
  const picks = picksOf(own, others)
  const extra = others.filter(peerId => !picks.includes(peerId) && !picksOf(peerId, [own, ...others]).includes(own)).slice(0, LINKS_MAX)
  const plan = (change: (link: LinkUse) => LinkUse): readonly string[] =>
    planLinks(own, new Set(others), [...picks.map(peerId => linked(peerId)), ...extra.map(peerId => change(linked(peerId)))]).surplus
  assert.is(plan(link => link).length, PICKS, 'down to LINKS_MAX')
  for (const peerId of plan(link => link)) assert.ok(extra.includes(peerId))
  assert.equal(plan(link => ({ ...link, isHeld: true })), [])
  assert.equal(plan(link => ({ ...link, unusedMs: UNUSED_MS - 1 })), [])
  assert.equal(plan(link => ({ ...link, isOurs: false })), [])
})

test('of a crowd that has come to call, the listener too closes', () => {
  const [own = '', ...others] = peersOf(seededRandom(6), 200)
  const links = others.slice(0, LINKS_CROWD + 1).map(peerId => linked(peerId, { isOurs: false }))
  const { surplus } = planLinks(own, new Set(others), links)
  assert.ok(surplus.length > LINKS_CROWD - LINKS_MAX - 4 * PICKS && surplus.length <= LINKS_CROWD + 1 - LINKS_MAX, `${surplus.length} closed`)
})

test('a swarm little larger than where all are linked closes nothing', () => {
  const [own = '', ...others] = peersOf(seededRandom(7), CLOSING_MIN)
  assert.equal(planLinks(own, new Set(others), others.map(peerId => linked(peerId))).surplus, [])
})

function linked (peerId: string, more: Partial<LinkUse> = {}): LinkUse {
  return { peerId, isOurs: true, isHeld: false, unusedMs: UNUSED_MS, ...more }
}

test.run()
