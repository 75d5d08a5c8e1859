import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { GRANT_BYTES_MAX, GRANT_SKEW_MS_MAX, mintGrant, swarmIdOf, verifyGrant } from '../../lib/access/grant.ts'
import type { Grant, GrantReason } from '../../lib/access/grant.ts'
import { toBase64Url, utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { canonicalJson } from '../../lib/base/json.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey, keyFromSeed } from '../../lib/identity/key.ts'

const seed = Number(process.env['SEED'] ?? 20262)
console.log(`grant: SEED=${seed}`)
const random = seededRandom(seed)
const NOW_MS = 1_800_000_000_000
const swarmKey = generateKey(random)
const [alice, bob] = [generateKey(random), generateKey(random)]
const facts = { peerId: alice.peerId, role: 'member', issuedAtMs: NOW_MS, memberUntilMs: NOW_MS + 60_000 } as const
const token = mintGrant(swarmKey, facts)

function assertRefused (reason: GrantReason, token: string, { key = swarmKey.publicKey, peerId = alice.peerId, nowMs = NOW_MS } = {}): void {
  assert.throws(() => verifyGrant(token, key, peerId, nowMs), (error: unknown) => {
    assert.instance(error, SwarmError)
    assert.is((error as SwarmError).code, 'NOT_ADMITTED')
    assert.is((error as SwarmError).details['reason'], reason)
    return true
  })
}

/** Signs any text the way a grant is signed. */
function sign (text: string, domain = 'mcp-swarm/grant/1\n', key = swarmKey): string {
  return `${toBase64Url(utf8(text))}.${toBase64Url(key.sign(utf8(domain + text)))}`
}

test('a grant admits the peer it names', () => {
  assert.equal(verifyGrant(token, swarmKey.publicKey, alice.peerId, NOW_MS), { v: 1, swarm: swarmIdOf(swarmKey.publicKey), ...facts })
  assert.ok(token.length < GRANT_BYTES_MAX / 2, `${token.length} bytes`)
})

test('the bytes of a token and of a swarm id are frozen', () => {
  const frozen = JSON.parse(readFileSync(new URL('../fixtures/grant.json', import.meta.url), 'utf8')) as { swarmSeed: string, swarmId: string, grant: Grant, token: string }
  const key = keyFromSeed(Uint8Array.from(Buffer.from(frozen.swarmSeed, 'hex')))
  assert.is(swarmIdOf(key.publicKey), frozen.swarmId)
  assert.match(frozen.swarmId, /^[a-z2-7]{26}$/)
  assert.is(mintGrant(key, frozen.grant), frozen.token)
  assert.equal(verifyGrant(frozen.token, key.publicKey, frozen.grant.peerId, frozen.grant.issuedAtMs), frozen.grant)
})

test('refuses a copy of somebody else\'s grant', () => { assertRefused('peer', token, { peerId: bob.peerId }) })
test('refuses the grant of a foreign swarm', () => { assertRefused('swarm', token, { key: bob.publicKey }) })

test('refuses a grant that names our swarm but is signed by another key', () => {
  assertRefused('signature', sign(canonicalJson({ v: 1, swarm: swarmIdOf(swarmKey.publicKey), ...facts }), undefined, bob))
})

test('refuses what the swarm key signed for another purpose', () => {
  const text = canonicalJson({ v: 1, swarm: swarmIdOf(swarmKey.publicKey), ...facts })
  for (const domain of ['', 'mcp-swarm/grant/2\n', 'mcp-swarm/record/1\n']) assertRefused('signature', sign(text, domain))
  assert.ok(verifyGrant(sign(text), swarmKey.publicKey, alice.peerId, NOW_MS))
})

test('admits until its end, by our clock, and not a millisecond longer', () => {
  assert.ok(verifyGrant(token, swarmKey.publicKey, alice.peerId, facts.memberUntilMs - 1))
  assertRefused('expired', token, { nowMs: facts.memberUntilMs })
  assertRefused('expired', token, { nowMs: facts.memberUntilMs + 1e12 })
})

test('bears clocks that differ up to the stated limit', () => {
  assert.ok(verifyGrant(token, swarmKey.publicKey, alice.peerId, NOW_MS - GRANT_SKEW_MS_MAX))
  assertRefused('early', token, { nowMs: NOW_MS - GRANT_SKEW_MS_MAX - 1 })
})

test('which clock says what is told as people read it, also of moments that no calendar has', () => {
  const [ends, begins] = [NOW_MS + 60_000, Number.MAX_SAFE_INTEGER - 1]
  const fails = (token: string, nowMs: number, message: string): void => { assert.throws(() => verifyGrant(token, swarmKey.publicKey, alice.peerId, nowMs), (error: Error) => error.message.includes(message)) }
  fails(token, ends + 86_400_000, 'it ended at 2027-01-15T08:01:00Z, and the clock of this machine says 2027-01-16T08:01:00Z')
  fails(token, NOW_MS - 86_400_000, 'it was issued at 2027-01-15T08:00:00Z, and the clock of this machine says 2027-01-14T08:00:00Z: compare the clocks')
  fails(mintGrant(swarmKey, { ...facts, issuedAtMs: begins, memberUntilMs: begins + 1 }), NOW_MS, `it was issued at ${begins} ms since 1970`)
})

test('a grant that never ends needs no clock', () => {
  const endless = mintGrant(swarmKey, { ...facts, memberUntilMs: null })
  for (const nowMs of [0, NOW_MS, 1e15]) assert.is(verifyGrant(endless, swarmKey.publicKey, alice.peerId, nowMs).memberUntilMs, null)
})

test('refuses a grant of a later format as such', () => {
  assertRefused('version', sign(canonicalJson({ v: 2, anything: true })))
})

const members = { v: 1, swarm: swarmIdOf(swarmKey.publicKey), ...facts }
for (const [name, text] of [
  ['an unknown member', canonicalJson({ ...members, more: 1 })],
  ['a member missing', canonicalJson({ ...members, role: undefined })],
  ['an unknown role', canonicalJson({ ...members, role: 'owner' })],
  ['an inherited role', canonicalJson({ ...members, role: 'toString' })],
  ['a fraction of a millisecond', canonicalJson({ ...members, issuedAtMs: NOW_MS + 0.5 })],
  ['a negative time', canonicalJson({ ...members, issuedAtMs: -1 })],
  ['a time as text', canonicalJson({ ...members, memberUntilMs: `${NOW_MS}` })],
  ['an end before its issue', canonicalJson({ ...members, memberUntilMs: NOW_MS - 1 })],
  ['a version as text', canonicalJson({ ...members, v: '1' })],
  ['version 0', canonicalJson({ ...members, v: 0 })],
  ['a peer id that is no text', canonicalJson({ ...members, peerId: 7 })],
  ['a swarm id that is none', canonicalJson({ ...members, swarm: 'OTHER' })],
  ['white space', `${canonicalJson(members)} `],
  ['members in another order', JSON.stringify(members)],
  ['a member twice', canonicalJson(members).replace('{', '{"v":1,')],
  ['a list', '[]'],
  ['no JSON', 'grant'],
  ['nothing', ''],
  ['deep nesting', '['.repeat(300)]
] as const) {
  test(`refuses a signed grant with ${name}`, () => { assertRefused('malformed', sign(text)) })
}

for (const [name, text] of [
  ['an empty token', ''],
  ['a token without signature', token.slice(0, token.indexOf('.'))],
  ['three parts', `${token}.x`],
  ['padding', `${token}=`],
  ['a trailing newline', `${token}\n`],
  ['bytes that are not UTF-8', `${toBase64Url(Uint8Array.of(0xff, 0xfe))}.${token.split('.')[1]}`]
] as const) {
  test(`refuses ${name}`, () => { assertRefused('malformed', text) })
}

test('refuses a token over the limit before looking into it', () => {
  const long = sign(canonicalJson({ ...members, more: 'x'.repeat(GRANT_BYTES_MAX) }))
  assert.ok(long.length > GRANT_BYTES_MAX)
  assertRefused('malformed', long)
  assertRefused('malformed', 'A'.repeat(1e6))
})

test('refuses every mutation of a token', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= \n'
  for (let round = 0; round < 2000; round++) {
    const at = Math.floor(random.next() * token.length)
    const character = alphabet[Math.floor(random.next() * alphabet.length)] as string
    const mutated = [
      token.slice(0, at) + character + token.slice(at + 1),
      token.slice(0, at) + token.slice(at + 1),
      token.slice(0, at) + character + token.slice(at),
      token.slice(0, at)
    ][round % 4] as string
    if (mutated === token) continue
    assert.throws(() => verifyGrant(mutated, swarmKey.publicKey, alice.peerId, NOW_MS), (error: unknown) => error instanceof SwarmError && error.code === 'NOT_ADMITTED', mutated)
  }
})

for (const [name, wrong, code] of [
  ['a peer id that is none', { peerId: 'alice' }, 'MALFORMED'],
  ['an end before its issue', { memberUntilMs: NOW_MS }, 'INVALID_OPTION'],
  ['a time that is no whole number', { issuedAtMs: NaN }, 'INVALID_OPTION'],
  ['an unknown role', { role: 'owner' as 'admin' }, 'INVALID_OPTION']
] as const) {
  test(`mints no grant for ${name}`, () => {
    assert.throws(() => mintGrant(swarmKey, { ...facts, ...wrong }), (error: unknown) => error instanceof SwarmError && error.code === code)
  })
}

test.run()
