/** A child process that does one thing to a store, and prints how that ended: for what only a process of its own can show. */
import fs from 'node:fs/promises'
import { chmodSync, chownSync } from 'node:fs'
import 'level'
import { SwarmError } from '../../lib/base/error.ts'

const NOBODY = 65534
const [, , act, folder] = process.argv as [string, string, string, string]

void run()

async function run (): Promise<void> {
  /** The paths whose handles are flushed from now on. */
  const flushed: string[] = []
  if (act === 'flushes') {
    const { open } = fs
    const watched: typeof open = async (path, ...more) => {
      const handle = await open(path, ...more)
      const sync = handle.sync.bind(handle)
      handle.sync = async () => {
        flushed.push(String(path))
        await sync()
      }
      return handle
    }
    fs.open = watched
    const { syncBuiltinESMExports } = await import('node:module')
    syncBuiltinESMExports()
  }

  const { openStorage } = await import('../../lib/storage/level.ts')

  const acts: Readonly<Record<string, () => Promise<string>>> = {
    async open () {
      await (await openStorage(folder)).close()
      return 'open'
    },
    async flushes () {
      await (await openStorage(folder)).close()
      return JSON.stringify(flushed)
    },
    async 'open-read-only' () {
      if (process.getuid?.() === 0) {
        chownSync(folder, NOBODY, NOBODY)
        process.seteuid?.(NOBODY)
      }
      chmodSync(folder, 0o500)
      return await acts['open']?.() ?? ''
    },
    async fill () {
      const storage = await openStorage(folder)
      let written = 0
      try {
        for (;; written++) await storage.write([{ key: `a/${written}`, value: crypto.getRandomValues(new Uint8Array(4096)) }], { sync: true })
      } catch (error) {
        if (error instanceof SwarmError) return `${error.code} ${written}`
        throw error
      }
    },
    async 'write-and-die' () {
      const storage = await openStorage(folder)
      setTimeout(() => { process.kill(process.pid, 'SIGKILL') }, 300)
      for (let index = 0; ; index++) {
        const key = String(index).padStart(9, '0')
        await storage.write([{ key: `left/${key}`, value: new Uint8Array(50) }, { key: `right/${key}`, value: new Uint8Array(50) }])
        process.stdout.write(`${index + 1}\n`)
      }
    }
  }

  try {
    console.log(await acts[act]?.())
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    console.log(error.code)
  }
}
