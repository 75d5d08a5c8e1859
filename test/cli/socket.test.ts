import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { reachHolder, socketPath } from '../../lib/cli/socket.ts'
import { bounded, Home } from './home.ts'

const test = suite('socket')
const home = new Home()
process.env['XDG_RUNTIME_DIR'] = home.env['XDG_RUNTIME_DIR']

test.after(async () => { await home.close() })

test('a holder that dies with the connection in its queue is no holder', async () => {
  const folder = home.path('data')
  const path = socketPath(folder)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // it listens, and is too busy to accept
  const holder = spawn(process.execPath, ['-e', `require('node:net').createServer().listen(${JSON.stringify(path)}, () => { require('node:fs').writeSync(1, 'listens'); for (;;); })`])
  await bounded(once(holder.stdout, 'data'), 'the holder to listen')
  const reached = reachHolder(folder)
  holder.kill('SIGKILL')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200) // it is dead before this process looks at the connection
  assert.is(await bounded(reached, 'an answer'), undefined)
})

test.run()
