/** A process of processes.test.ts: writes one key after the other, and says of each when it is flushed; until nobody listens any more. */
import { joinSwarm } from '../../lib/swarm/join.ts'

const [dir = '', round = ''] = process.argv.slice(2)
void write()

async function write (): Promise<void> {
  await using swarm = await joinSwarm({ name: 'writer', dir })
  const document = await swarm.document('notes')
  for (let number = 0; process.connected; number++) {
    const key = `${round}-${number}`
    document.ydoc.getMap('keys').set(key, key)
    // Now and then many at once, so that a kill meets a write under way.
    if (number % 5 !== 0) continue
    await document.flushed()
    process.send?.(key, undefined, undefined, () => {}) // nobody may listen any more
    await new Promise(resolve => { setTimeout(resolve, 5) })
  }
}
