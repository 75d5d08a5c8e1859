// bound: 150 s
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { VALUE_BYTES_MAX } from '../../lib/cli/document.ts'
import { LINE_BYTES_MAX } from '../../lib/cli/lines.ts'
import { Home, type Facts, type Running } from './home.ts'

const test = suite('doc')
const home = new Home()
const deskFolder = home.path('desk')
const visitor = home.path('visitor')
let desk: Running

test.before(async () => {
  desk = home.start(['up', '--json', '--dir', deskFolder])
  await desk.event(({ event }) => event === 'ready', 'ready')
})

test.after(async () => { await home.close() })

test('what is set through the running peer is got there, and by a peer that joins for a moment', async () => {
  const put = await home.run(['doc', 'set', 'notes', 'todo/t1', '"buy milk"', '--dir', deskFolder])
  assert.is(put.code, 0, put.stderr)
  assert.match(put.stderr, 'On disk here. No other peer')
  for (const dir of [deskFolder, visitor]) {
    const got = await home.run(['doc', 'get', 'notes', 'todo/t1', '--dir', dir])
    assert.equal([got.code, got.stdout], [0, 'buy milk\n'], got.stderr)
  }
  const all = await home.run(['doc', 'get', 'notes', '--json', '--dir', deskFolder])
  assert.equal(JSON.parse(all.stdout), { todo: { t1: 'buy milk' } })
})

test('what is set in passing is at the peer that stays when the command ends', async () => {
  const put = await home.run(['doc', 'set', 'notes', 'todo/t2', '-', '--json', '--dir', visitor], { stdin: '{"what":"bread","count":2}' })
  assert.is(put.code, 0, put.stderr)
  assert.equal(JSON.parse(put.stdout), { name: 'notes', path: 'todo/t2', flushed: true, synced: true, peers: 1 })
  const got = await home.run(['doc', 'get', 'notes', 'todo/t2/count', '--dir', deskFolder])
  assert.equal([got.code, got.stdout], [0, '2\n'], got.stderr)
})

test('watch says what stands there, and every change', async () => {
  const watching = home.start(['doc', 'watch', 'notes', 'list', '--json', '--dir', deskFolder])
  assert.is((await watching.event(({ event }) => event === 'changed', 'the first'))['value'], null)
  for (const value of ['[1]', '[1,2]']) {
    const put = await home.run(['doc', 'set', 'notes', 'list', value, '--dir', visitor])
    assert.is(put.code, 0, put.stderr)
    await watching.event(({ value: seen }) => JSON.stringify(seen) === value, value)
  }
  watching.child.kill('SIGINT')
  const ended = await watching.outcome()
  assert.is(ended.code, 0, ended.stderr)
})

test('what is deleted is gone, and nothing is told apart from null', async () => {
  await home.run(['doc', 'set', 'notes', 'todo/t3', 'null', '--dir', deskFolder])
  assert.is((await home.run(['doc', 'get', 'notes', 'todo/t3', '--dir', deskFolder])).stdout, 'null\n')
  const gone = await home.run(['doc', 'set', 'notes', 'todo/t3', '--delete', '--dir', deskFolder])
  assert.is(gone.code, 0, gone.stderr)
  const got = await home.run(['doc', 'get', 'notes', 'todo/t3', '--dir', deskFolder])
  assert.equal([got.code, got.stdout], [1, ''])
  assert.match(got.stderr, 'Nothing stands at "todo/t3"')
})

for (const [what, args, code, words] of [
  ['a name that cannot be', ['get', ' notes'], 1, 'NAME_INVALID'],
  ['a value that is not JSON', ['set', 'notes', 'todo/t1', 'buy milk'], 2, 'Write|A text stands in double quotes'],
  ['no value', ['set', 'notes', 'todo/t1'], 2, '--delete'],
  ['a number as a whole shared type', ['set', 'notes', 'todo', '1'], 2, 'which this value cannot replace'],
  ['a path into a text', ['set', 'notes', 'todo/t1/x', '1'], 2, 'has no members to set']
] as const) {
  test(`${what} is refused with what to do`, async () => {
    const outcome = await home.run(['doc', ...args, '--dir', deskFolder])
    assert.is(outcome.code, code, outcome.stderr)
    assert.match(outcome.stderr, new RegExp(words))
    assert.is(outcome.stdout, '')
  })
}

test('what can be set can be got, through the running peer and in passing; what is larger is refused, and changes nothing', async () => {
  const room = VALUE_BYTES_MAX - 2 // for the quotes
  for (const [dir, name] of [[deskFolder, 'large'], [home.path('alone'), 'larger']] as const) {
    const whole = JSON.stringify('x'.repeat(room))
    const put = await home.run(['doc', 'set', name, 'm/text', '-', '--dir', dir], { stdin: whole })
    assert.is(put.code, 0, put.stderr)
    const got = await home.run(['doc', 'get', name, 'm/text', '--json', '--dir', dir])
    assert.is(got.code, 0, got.stderr)
    assert.ok(got.stdout === `${whole}\n`, `${got.stdout.length} characters`)
    for (const [value, words] of [[JSON.stringify('x'.repeat(room + 1)), 'limit 4128768'], ['é'.repeat(LINE_BYTES_MAX / 2 + 1), 'standard input is over the limit']] as const) {
      const refused = await home.run(['doc', 'set', name, 'm/other', '-', '--dir', dir], { stdin: value })
      assert.is(refused.code, 1)
      assert.match(refused.stderr, 'mcp-swarm: TOO_LARGE: ')
      assert.match(refused.stderr, words)
    }
    assert.is((await home.run(['doc', 'get', name, 'm/other', '--dir', dir])).code, 1)
    assert.is((await home.run(['doc', 'set', name, 'm/other', '1', '--dir', dir])).code, 0)
    const both = await home.run(['doc', 'get', name, '--dir', dir])
    assert.is(both.code, 1)
    assert.match(both.stderr, 'name a PATH further in')
  }
})

test('of commands at once in a folder that nobody holds each does what it is told, or says why not', async () => {
  const dir = home.path('shared')
  const outcomes = await Promise.all([1, 2, 3].map(async number => await home.run(['doc', 'set', 'many', `m/k${number}`, `${number}`, '--dir', dir])))
  const done: Record<string, number> = {}
  for (const [index, { code, stderr }] of outcomes.entries()) {
    if (code === 0) done[`k${index + 1}`] = index + 1
    assert.match(stderr, code === 0 ? 'On disk here' : 'mcp-swarm: FOLDER_IN_USE: ')
  }
  assert.equal(JSON.parse((await home.run(['doc', 'get', 'many', 'm', '--json', '--dir', dir])).stdout), done)
})

test('a peer that starts again has its documents, and others find them there', async () => {
  desk.child.kill('SIGTERM')
  await desk.outcome()
  desk = home.start(['up', '--json', '--dir', deskFolder])
  await desk.event(({ event }) => event === 'ready', 'ready')
  for (let tries = 0; ; tries++) {
    const status = await home.run(['status', '--json', '--dir', deskFolder])
    const { documents } = JSON.parse(status.stdout) as { documents: { durability: string, open: Facts[] } | null }
    if (documents?.open.length === 2) {
      assert.equal([documents.durability, documents.open.map(({ name }) => name).sort()], ['strict', ['large', 'notes']])
      break
    }
    assert.ok(tries < 20, 'its documents are opened beside everything else')
  }
  const got = await home.run(['doc', 'get', 'notes', 'todo/t1', '--dir', home.path('another')])
  assert.equal([got.code, got.stdout], [0, 'buy milk\n'], got.stderr)
})

test.run()
