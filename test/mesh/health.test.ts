import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import { CONNECTIONS_MANY, DOUBT_MS, Health, LATE_MS_MAX, PROBE_INTERVAL_MS, PROBE_INTERVAL_MS_MAX, PROBE_MS, probeIntervalMs } from '../../lib/mesh/health.ts'

interface World {
  /** When the peer is frozen, if ever. */
  frozenMs?: number
  /** How long the peer takes to answer a probe. */
  answerMs?: number
  /** How late this process keeps each tick. */
  lateMs?: () => number
  seed?: number
  intervalMs?: number
  endMs: number
}

/** Runs a core against a peer; says when it was given up, if it was, and how many probes went out. */
function run ({ frozenMs = Infinity, answerMs = 1, lateMs = () => 0, seed = 1, intervalMs = PROBE_INTERVAL_MS, endMs }: World): { unreachableMs: number | undefined, probes: number } {
  const health = new Health(0, seededRandom(seed), intervalMs)
  const answers: number[] = []
  let probes = 0
  for (;;) {
    const { dueMs } = health
    const nowMs = dueMs + lateMs()
    if (nowMs > endMs) return { unreachableMs: undefined, probes }
    // What came in during a stall is read once the process runs again, before it judges.
    for (const atMs of answers.splice(0, answers.filter(atMs => atMs <= nowMs).length)) health.heard(atMs <= dueMs ? atMs : nowMs)
    const effect = health.tick(nowMs, intervalMs)
    if (effect === 'unreachable') return { unreachableMs: nowMs, probes }
    if (effect !== 'probe') continue
    probes++
    if (nowMs + answerMs < frozenMs) answers.push(nowMs + answerMs)
  }
}

test('a frozen peer is given up within 10 s, never in a moment', () => {
  fc.assert(fc.property(fc.integer(), fc.nat(30_000), fc.constantFrom(PROBE_INTERVAL_MS, PROBE_INTERVAL_MS_MAX), (seed, frozenMs, intervalMs) => {
    const { unreachableMs } = run({ seed, frozenMs, intervalMs, endMs: 60_000 })
    assert.ok(unreachableMs !== undefined, 'never given up')
    const tookMs = unreachableMs - frozenMs
    assert.ok(tookMs <= 10_000 && tookMs >= PROBE_MS, `took ${tookMs} ms`)
  }))
})

test('a living peer is never given up, however slow it answers within the bounds of two probes', () => {
  fc.assert(fc.property(fc.integer(), fc.nat(2 * PROBE_MS - 1), (seed, answerMs) => {
    assert.is(run({ seed, answerMs, endMs: 120_000 }).unreachableMs, undefined)
  }))
})

test('a living peer is never given up for stalls of our own', () => {
  fc.assert(fc.property(fc.integer(), fc.nat(2 * PROBE_MS - 1), fc.array(fc.nat(20_000), { minLength: 1, maxLength: 50 }), (seed, answerMs, stalls) => {
    let tick = 0
    assert.is(run({ seed, answerMs, lateMs: () => stalls[tick++ % stalls.length] ?? 0, endMs: 600_000 }).unreachableMs, undefined)
  }))
})

test('a late tick forgives the misses so far, even of a peer that says nothing', () => {
  const health = new Health(0, seededRandom(1))
  assert.is(health.tick(health.dueMs), 'probe')
  assert.is(health.tick(health.dueMs), 'probe', 'the first miss')
  assert.is(health.tick(health.dueMs + LATE_MS_MAX + 1), 'probe', 'our own stall')
  assert.is(health.tick(health.dueMs), 'probe', 'the first miss again')
  assert.is(health.tick(health.dueMs + LATE_MS_MAX), 'unreachable')
})

test('any word between two misses forgives the first', () => {
  const health = new Health(0, seededRandom(1))
  assert.is(health.tick(health.dueMs), 'probe')
  assert.is(health.tick(health.dueMs), 'probe')
  health.heard(health.dueMs - 1)
  for (let round = 0; round < 3 && health.tick(health.dueMs) === undefined; round++) assert.ok(round < 2, 'no further probe')
  assert.is(health.tick(health.dueMs), 'probe', 'the first miss')
  assert.is(health.tick(health.dueMs), 'unreachable')
})

test('traffic saves probes', () => {
  const health = new Health(0, seededRandom(1))
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 100) {
    health.heard(nowMs)
    assert.is(health.tick(nowMs), undefined)
  }
})

test('doubt probes at once, unless a probe is out', () => {
  const health = new Health(0, seededRandom(1))
  health.doubt(10)
  assert.is(health.dueMs, 10)
  assert.is(health.tick(10), 'probe')
  health.doubt(20)
  assert.is(health.tick(30), undefined)
})

test('a doubt that is not answered in time is told as silence, once, and ends nothing that two probes would not have ended', () => {
  const health = new Health(0, seededRandom(1))
  health.doubt(10)
  assert.is(health.tick(10), 'probe')
  assert.is(health.dueMs, 10 + DOUBT_MS)
  assert.is(health.tick(10 + DOUBT_MS), 'silent')
  assert.is(health.dueMs, 10 + PROBE_MS)
  health.doubt(1_000)
  assert.is(health.dueMs, 1_000 + DOUBT_MS, 'a further doubt asks again, of the probe that is out')
  assert.is(health.tick(1_000 + DOUBT_MS), 'silent')
  assert.is(health.tick(10 + PROBE_MS), 'probe', 'the first miss')
  assert.is(health.tick(10 + 2 * PROBE_MS), 'unreachable')
})

test('a doubt that is answered in time is no silence, however many follow', () => {
  const health = new Health(0, seededRandom(1))
  for (let nowMs = 10; nowMs < 20_000; nowMs += DOUBT_MS - 1) {
    health.doubt(nowMs)
    assert.is(health.tick(nowMs), 'probe', `at ${nowMs}`)
    health.heard(nowMs + DOUBT_MS - 20)
    assert.is(health.tick(nowMs + DOUBT_MS - 2), undefined)
  }
})

test('an idle connection costs one probe per interval', () => {
  for (const intervalMs of [PROBE_INTERVAL_MS, PROBE_INTERVAL_MS_MAX]) {
    const { probes } = run({ intervalMs, endMs: 600_000 })
    assert.ok(Math.abs(probes - 600_000 / intervalMs) < 10, `${probes} probes in 600 s`)
  }
})

test('the interval grows with the connections, never so far that a frozen peer stays for 10 s', () => {
  let before = 0
  for (let connections = 1; connections <= 1_000; connections++) {
    const intervalMs = probeIntervalMs(connections)
    assert.ok(intervalMs >= before)
    assert.is(intervalMs === PROBE_INTERVAL_MS, connections <= CONNECTIONS_MANY)
    assert.ok(intervalMs * 1.1 + 2 * PROBE_MS < 10_000)
    before = intervalMs
  }
  assert.is(before, PROBE_INTERVAL_MS_MAX)
})

test.run()
