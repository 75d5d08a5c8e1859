import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { allows, parseRule } from '../../lib/access/rule.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { keyFromSeed } from '../../lib/identity/key.ts'

const [alice, bob] = [1, 2].map(fill => keyFromSeed(new Uint8Array(32).fill(fill)).peerId) as [string, string]

for (const [texts, peerId, role, allowed] of [
  [['all'], alice, 'member', true],
  [['role:member'], alice, 'member', true],
  [['role:member'], alice, 'admin', true],
  [['role:admin'], alice, 'member', false],
  [['role:admin'], alice, 'admin', true],
  [[`peer:${alice}`], alice, 'member', true],
  [[`peer:${alice}`], bob, 'member', false],
  [[`peer:${alice}`], bob, 'admin', false],
  [[`peer:${alice}`, 'role:admin'], bob, 'admin', true],
  [[], alice, 'admin', false],
  [undefined, alice, 'member', true],
  [undefined, alice, 'admin', true]
] as const) {
  test(`${texts === undefined ? 'no list' : JSON.stringify(texts)} ${allowed ? 'allows' : 'does not allow'} ${peerId === alice ? 'alice' : 'bob'} as ${role}`, () => {
    assert.is(allows(texts?.map(parseRule), { peerId, role }), allowed)
  })
}

for (const text of ['', 'member', 'role:', 'role:owner', 'role:Member', 'peer:', 'peer:alice', `peer:${alice}x`, 'ALL', 'all ', ' all', '*', 'role:member,role:admin', 'role:toString', 'al']) {
  test(`refuses ${JSON.stringify(text)}, naming it`, () => {
    assert.throws(() => parseRule(text), (error: unknown) => error instanceof SwarmError && error.code === 'CONFIG_INVALID' &&
      error.message.includes(JSON.stringify(text)) && error.details['rule'] === text)
  })
}

test.run()
