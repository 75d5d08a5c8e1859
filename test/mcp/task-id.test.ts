import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { toBase64Url, utf8 } from '../../lib/base/bytes.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { makeTaskId, parseTaskId, TASK_ID_CHARS_MAX } from '../../lib/mcp/task-id.ts'
import { AGENT_NAME_MAX } from '../../lib/mcp/wire.ts'
import { PEER, fake, rig, idOf, rpcOf } from './task-parts.ts'
import { text } from './wire-parts.ts'

for (const name of ['a', 'notes', '\ufeffnotes', 'ünï.cødé name', 'x'.repeat(AGENT_NAME_MAX), '\u20ac'.repeat(AGENT_NAME_MAX)]) {
  test(`an id leads back to agent ${name.slice(0, 12)}`, () => {
    const id = makeTaskId({ peerId: PEER, agent: name }, seededRandom(1))
    assert.ok(id.length <= TASK_ID_CHARS_MAX, `${id.length}`)
    assert.match(id, /^[\x21-\x7e]+$/) // goes in a header of HTTP
    assert.equal(parseTaskId(id), { peerId: PEER, agent: name })
  })
}

const RANDOM_PART = 'A'.repeat(32)
for (const rubbish of [undefined, null, 7, {}, [], '', '.', '..', '...', 'gate-test', 'tasks-conformance-nonexistent-12345', `${PEER}.bm90ZXM`, `${PEER}.bm90ZXM.`,
  `${PEER}.bm90ZXM.${RANDOM_PART}.`, `${PEER}.bm90ZXM.${RANDOM_PART}A`, `${PEER}..${RANDOM_PART}`, `${PEER}.bm90ZXN.${RANDOM_PART}`, `${PEER}.bm90ZXM=.${RANDOM_PART}`,
  `${PEER}.gIA.${RANDOM_PART}`, `${PEER.slice(1)}.bm90ZXM.${RANDOM_PART}`, `x.bm90ZXM.${RANDOM_PART}`, ` ${PEER}.bm90ZXM.${RANDOM_PART}`,
  `${PEER}.${toBase64Url(utf8('x'.repeat(AGENT_NAME_MAX + 1)))}.${RANDOM_PART}`, 'x'.repeat(1e6)]) {
  test(`rubbish is no task: ${String(JSON.stringify(rubbish)).slice(0, 60)}`, async () => {
    const { ask } = rig()
    assert.throws(() => parseTaskId(rubbish), /unknown task/)
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      assert.is((await rpcOf(ask(fake(() => text('')), method, { taskId: rubbish, inputResponses: {} }))).code, -32602)
    }
  })
}

test('ids cut or changed anywhere are rubbish or unknown, never a bug', async () => {
  const seed = 4127
  const random = seededRandom(seed)
  const it = rig()
  const agent = fake(() => text(''), { mode: 'always' })
  const id = idOf(await it.call(agent))
  for (let turn = 0; turn < 500; turn++) {
    const at = Math.floor(random.next() * id.length)
    const wrong = random.next() < 0.5 ? id.slice(0, at) : `${id.slice(0, at)}${String.fromCharCode(32 + Math.floor(random.next() * 200))}${id.slice(at + 1)}`
    if (wrong !== id) assert.is((await rpcOf(it.get(agent, wrong))).code, -32602, `seed ${seed}, turn ${turn}: ${wrong}`)
  }
})

test('what is no method of tasks is refused as none', async () => {
  const it = rig()
  const agent = fake(() => text(''), { mode: 'always' })
  const taskId = idOf(await it.call(agent))
  for (const method of ['tasks/list', 'tasks/result']) assert.is((await rpcOf(it.ask(agent, method, { taskId }))).code, -32601)
})

test.run()
