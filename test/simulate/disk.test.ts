import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Bug } from '../../lib/simulate/bug.ts'
import { Chance } from '../../lib/simulate/chance.ts'
import { FINDS, SimulatedDisk, type Find } from '../../lib/simulate/disk.ts'
import { Schedule } from '../../lib/simulate/schedule.ts'

const SEEDS = 2_000

/** Writes in bursts until the power goes, several times over. */
function live (seed: number, bug: Bug = {}): { finds: Find[], isLost: boolean, isDamaged: boolean } {
  const schedule = new Schedule()
  const chance = new Chance(seed, 'test')
  const disk = new SimulatedDisk(schedule, new Chance(seed, 'disk'), { durability: 'strict', flushMs: [1, 20] }, bug)
  const finds: Find[] = []
  let [acknowledged, isLost, isDamaged] = [0, false, false]
  for (let life = 0; life < 4; life++) {
    const first = disk.sequence
    disk.open(seq => { acknowledged = Math.max(acknowledged, seq) })
    for (let count = 1; count <= 6; count++) schedule.after(chance.from(0, 60), () => { disk.append({ seq: disk.sequence + 1, update: Uint8Array.of(count), origin: '' }) })
    schedule.runUntil(schedule.nowMs + chance.from(0, 80))
    finds.push(disk.crash())
    isLost ||= disk.sequence < acknowledged
    isDamaged ||= disk.isDamaged
    assert.ok(disk.sequence >= first, `seed ${seed}: what was found once is there`)
    if (!isDamaged) assert.equal(disk.records.map(({ seq }) => seq), disk.records.map((_, index) => index + 1))
    acknowledged = Math.min(acknowledged, disk.sequence)
    schedule.runUntil(schedule.nowMs + 100) // what was on its way has nothing to say
    assert.ok(acknowledged <= disk.sequence)
  }
  return { finds, isLost, isDamaged }
}

test('crashes find everything that an honest disk can leave; nothing acknowledged is lost, and no log is taken for damaged', () => {
  const finds = new Map<Find, number>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const found = live(seed)
    assert.equal([found.isLost, found.isDamaged], [false, false], `seed ${seed}`)
    for (const find of found.finds) finds.set(find, (finds.get(find) ?? 0) + 1)
  }
  console.log(`note: ${FINDS.map(find => `${find} ${finds.get(find) ?? 0}`).join(', ')}`)
  for (const find of FINDS) assert.ok((finds.get(find) ?? 0) > 20, find)
})

for (const [what, bug, shows] of [
  ['acknowledges what the witness has claimed', { acknowledgesClaims: true }, ({ isLost }: ReturnType<typeof live>) => isLost],
  ['takes for sure what was claimed', { trustsClaims: true }, ({ isDamaged }: ReturnType<typeof live>) => isDamaged]
] as const) {
  test(`a disk that ${what} is noticed`, () => {
    const seeds = Array.from({ length: SEEDS }, (_, index) => index + 1).filter(seed => shows(live(seed, bug)))
    assert.ok(seeds.length > 20, `${seeds.length} of ${SEEDS}`)
  })
}

test.run()
