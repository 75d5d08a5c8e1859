/** A child process that, told to on its input, loads or makes the key at a path and prints its peer id. */
import { loadOrCreateKey } from '#keystore'
import { systemRandom } from '../../lib/base/random.ts'

process.stdin.once('data', () => {
  void loadOrCreateKey(process.argv[2] as string, systemRandom).then(key => {
    console.log(key.peerId)
    process.stdin.destroy()
  })
})
console.log('ready')
