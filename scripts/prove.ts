/**
 * Proves what documents promise, on real disks and processes. Ends with `N passed, N failed, N skipped`.
 *
 *   npm run prove:damage [-- cases [seed]]   5,000 copies of a data folder, each with one fault
 *   npm run prove:kill [-- kills [seed]]     200 times kill -9
 *   npm run prove:power [-- cuts [seed]]     50 power cuts: root on Linux
 */
import { proveDamage } from '../test/crdt/prove/damage.ts'
import { proveKill, type Proof } from '../test/crdt/prove/kill.ts'
import { enterOwnMounts, provePower } from '../test/crdt/prove/power.ts'

const RUNS = { damage: [proveDamage, 5_000], kill: [proveKill, 200], power: [provePower, 50] } as const

const [what = '', count, seed] = process.argv.slice(2)
if (!(what in RUNS)) {
  console.log(`prove what? ${Object.keys(RUNS).join(', ')}`)
  process.exit(1)
}
if (what === 'power') enterOwnMounts()
const [prove, usual] = RUNS[what as keyof typeof RUNS]
const { passed, failed, skipped, notes } = await prove(Number(count ?? usual), Number(seed ?? Date.now() % 2 ** 31)) satisfies Proof
for (const note of notes) console.log(note)
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed === 0 ? 0 : 1
