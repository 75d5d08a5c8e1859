import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { GRANT_SKEW_MS_MAX, mintGrant } from '../../lib/access/grant.ts'
import { isGranted, shortGrant } from '../../lib/access/short-grant.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { GRANT_CHARS_MAX } from '../../lib/directory/record.ts'
import { generateKey } from '../../lib/identity/key.ts'

const [swarmKey, otherSwarm, alice, bob] = [1, 2, 3, 4].map(seed => generateKey(seededRandom(seed))) as [ReturnType<typeof generateKey>, ReturnType<typeof generateKey>, ReturnType<typeof generateKey>, ReturnType<typeof generateKey>]
const NOW_MS = 1_800_000_000_000
const grant = (role: 'admin' | 'member', memberUntilMs: number | null, issuedAtMs = NOW_MS): string =>
  shortGrant(mintGrant(swarmKey, { peerId: alice.peerId, role, issuedAtMs, memberUntilMs }))
const lets = (short: string, { key = swarmKey, peer = alice, nowMs = NOW_MS } = {}): boolean => isGranted(short, key.publicKey, peer.peerId, nowMs)

for (const role of ['admin', 'member'] as const) {
  for (const untilMs of [null, NOW_MS + 1, Number.MAX_SAFE_INTEGER]) {
    test(`a grant of ${role} until ${untilMs ?? 'ever'} is the same in short`, () => {
      const short = grant(role, untilMs)
      assert.ok(short.length <= GRANT_CHARS_MAX && short.length < 116, `${short.length} characters`)
      assert.ok(lets(short))
    })
  }
}

for (const [name, short, more] of [
  ['another peer\'s', grant('member', null), { peer: bob }],
  ['of another swarm', grant('member', null), { key: otherSwarm }],
  ['that has ended', grant('member', NOW_MS + 1), { nowMs: NOW_MS + 1 }],
  ['from the future', grant('member', NOW_MS * 2, NOW_MS + GRANT_SKEW_MS_MAX + 1), {}],
  ['of another role', grant('member', null).replace('m', 'a'), {}],
  ['with another end', grant('member', NOW_MS + 1).replace(/\.(?=[^.]*$)/, '0.'), {}],
  ['with another signature', grant('member', null).replace(/.$/, 'A'), {}],
  ['that is empty', '', {}],
  ['that is no such thing', 'x'.repeat(GRANT_CHARS_MAX), {}],
  ['of times beyond all numbers', `m.${'z'.repeat(11)}.${'z'.repeat(11)}.${'A'.repeat(86)}`, {}]
] as const) {
  test(`a grant ${name} lets nobody in`, () => { assert.not.ok(lets(short, more)) })
}

test.run()
