import { generateKey } from '../../lib/identity/key.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { conformance } from './conformance.ts'

conformance('memory', () => {
  const hub = new MemoryHub()
  return { open: async () => hub.network(generateKey(systemRandom)), deadAddress: '/memory/0' }
}).run()
