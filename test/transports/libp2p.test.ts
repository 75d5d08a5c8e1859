// bound: 180 s
import { systemClock } from '../../lib/base/clock.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { openNetwork } from '../../transports/libp2p/node.ts'
import { conformance } from './conformance.ts'

conformance('libp2p', () => ({
  open: async () => await openNetwork({ key: generateKey(systemRandom), clock: systemClock, random: systemRandom }),
  deadAddress: '/ip4/127.0.0.1/tcp/1'
})).run()
