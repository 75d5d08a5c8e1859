// bound: 180 s
import { systemClock } from '../../lib/base/clock.ts'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { SimulatedHub } from '../../transports/simulated/simulated.ts'
import { conformance } from './conformance.ts'

const seed = Math.floor(systemRandom.next() * 2 ** 32)
console.log(`\nnote: seed ${seed}`)

/** What the port promises holds while everything takes its time and gossip is out of order; what is lost or doubled is promised to nobody. */
const suite = conformance('simulated', () => {
  const hub = new SimulatedHub({ clock: systemClock, random: seededRandom(seed), weather: { delayMs: [0, 2], reordering: 0.3 } })
  return { open: async () => hub.network(generateKey(systemRandom)), deadAddress: '/memory/0' }
})
const keepAlive = setInterval(() => {}, 1_000) // the clock's timers do not, and here everything waits for one
suite.after(() => { clearInterval(keepAlive) })
suite.run()
