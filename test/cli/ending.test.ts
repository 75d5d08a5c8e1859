// bound: 120 s
import { connect } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LINE_BYTES_MAX } from '../../lib/cli/lines.ts'
import { bounded, Home } from './home.ts'

const test = suite('ending')
const home = new Home()
const folder = home.path('held')
const holder = home.start(['up', '--json', '--dir', folder])

test.before(async () => { await holder.event(({ event }) => event === 'ready', 'ready') })

test.after(async () => { await home.close() })

test('connect whose client has gone before it serves leaves no process behind', async () => {
  const { code, stdout, stderr } = await home.run(['connect', '--dir', home.path('brief')])
  assert.is(code, 0, stderr)
  assert.is(stdout, '')
})

for (const args of [['--help'], ['tools', '--json', '--dir', folder], ['status', '--dir', folder]]) {
  test(`nobody reads what ${args[0] ?? ''} prints: it ends, and says nothing of that`, async () => {
    const running = home.start(args)
    running.child.stdout.destroy()
    const { stderr } = await running.outcome()
    assert.not.match(stderr, 'EPIPE')
  })
}

test('nobody reads the errors either', async () => {
  const running = home.start(['call', 'no_such_tool', '--dir', folder])
  running.child.stdout.destroy()
  running.child.stderr.destroy()
  const { code } = await running.outcome()
  assert.is(code, 1)
})

test('arguments over the limit are refused before they are sent', async () => {
  const stdin = JSON.stringify({ text: 'x'.repeat(LINE_BYTES_MAX) })
  const { code, stdout } = await home.run(['call', 'anything', '-', '--json', '--dir', folder], { stdin })
  assert.is(code, 1)
  assert.is((JSON.parse(stdout) as { error: { code: string } }).error.code, 'TOO_LARGE')
})

test('whoever sends the control socket too much is cut off', async () => {
  const { socketPath } = await pathsOf()
  const socket = connect(socketPath).on('error', () => { socket.destroy() })
  const ended = new Promise(resolve => { socket.once('close', resolve) })
  socket.resume().write('x'.repeat(4 * LINE_BYTES_MAX))
  await bounded(ended, 'the connection to end')
})

test('a peer that is frozen holds no command for ever', async () => {
  holder.child.kill('SIGSTOP')
  try {
    const [status, call] = await Promise.all([home.run(['status', '--json', '--dir', folder]), home.run(['call', 'any', '--json', '--timeout', '0.1', '--dir', folder])])
    assert.match(status.stdout, 'UNAVAILABLE')
    assert.match(call.stdout, 'INDETERMINATE')
  } finally {
    holder.child.kill('SIGCONT')
  }
})

/** As a command of this user finds them. */
async function pathsOf (): Promise<{ socketPath: string }> {
  process.env['XDG_RUNTIME_DIR'] = home.env['XDG_RUNTIME_DIR']
  const { socketPath } = await import('../../lib/cli/socket.ts')
  return { socketPath: socketPath(folder) }
}

test.run()
