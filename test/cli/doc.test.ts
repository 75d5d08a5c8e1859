// bound: 150 s
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
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

test('a peer that starts again has its documents, and others find them there', async () => {
  desk.child.kill('SIGTERM')
  await desk.outcome()
  desk = home.start(['up', '--json', '--dir', deskFolder])
  await desk.event(({ event }) => event === 'ready', 'ready')
  for (let tries = 0; ; tries++) {
    const status = await home.run(['status', '--json', '--dir', deskFolder])
    const { documents } = JSON.parse(status.stdout) as { documents: { durability: string, open: Facts[] } | null }
    if (documents?.open.length === 1) {
      assert.equal([documents.durability, documents.open[0]?.['name']], ['strict', 'notes'])
      break
    }
    assert.ok(tries < 20, 'its documents are opened beside everything else')
  }
  const got = await home.run(['doc', 'get', 'notes', 'todo/t1', '--dir', home.path('another')])
  assert.equal([got.code, got.stdout], [0, 'buy milk\n'], got.stderr)
})

test.run()
