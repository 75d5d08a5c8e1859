/** A child process that, told to on its input, takes a data folder, prints how that ended, and holds it until its input ends. */
import { createInterface } from 'node:readline'
import { holdFolder } from '#folder'
import { SwarmError } from '../../lib/base/error.ts'

const [, , folder, name] = process.argv as [string, string, string, string]
const lines = createInterface(process.stdin)[Symbol.asyncIterator]()
void hold()

async function hold (): Promise<void> {
  console.log('ready')
  await lines.next()
  try {
    const lock = await holdFolder(folder, { pid: process.pid, name, startedAtMs: Date.now() })
    await lock.write({ port: 7337 })
    console.log('held')
    await lines.next()
    await lock.release()
    console.log('released')
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    console.log(JSON.stringify({ code: error.code, message: error.message, holder: error.details['holder'] }))
  }
  process.stdin.destroy()
}
