import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { INVITER_ADDRESSES_MAX, INVITERS_MAX, MEMBER_MS_MAX, MEMBER_MS_MIN, PASS_CHARS_MAX, TICKET_CHARS_MAX, TICKET_MS_MAX, USES_MAX, INVITER_ADDRESS_CHARS_MAX, isAddress, readTicket, verifyPass, writeTicket } from '../../lib/access/ticket.ts'
import type { Inviter, Terms, TicketReason } from '../../lib/access/ticket.ts'
import { WORDS, WORD_BITS, wordsOf } from '../../lib/access/words.ts'
import { toBase64Url, utf8 } from '../../lib/base/bytes.ts'
import { SwarmError, type ErrorCode } from '../../lib/base/error.ts'
import { canonicalJson } from '../../lib/base/json.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey, keyFromSeed } from '../../lib/identity/key.ts'

const seed = Number(process.env['SEED'] ?? 20265)
console.log(`ticket: SEED=${seed}`)
const random = seededRandom(seed)
const NOW_MS = 1_800_000_000_000
const [swarmKey, secret, alice, other] = [generateKey(random), generateKey(random), generateKey(random), generateKey(random)] as const
const wanted = { role: 'member', uses: 1, issuedAtMs: NOW_MS, joinBeforeMs: NOW_MS + 86_400_000, memberForMs: null } as const
const inviters: readonly Inviter[] = [{ peerId: alice.peerId, addresses: ['/ip4/192.168.1.7/tcp/4001', '/ip4/127.0.0.1/tcp/4001'] }]
const text = writeTicket(swarmKey, secret, wanted, inviters)

function assertCode (code: ErrorCode, reason: TicketReason | undefined, work: () => unknown): void {
  assert.throws(work, (error: unknown) => {
    assert.instance(error, SwarmError)
    assert.equal([(error as SwarmError).code, (error as SwarmError).details['reason']], [code, reason], (error as SwarmError).message)
    return true
  })
}

function sign (terms: object, key = swarmKey, domain = 'mcp-swarm/pass/1\n'): string {
  const signed = canonicalJson(terms)
  return `${toBase64Url(utf8(signed))}.${toBase64Url(key.sign(utf8(domain + signed)))}`
}

test('what was written is read', () => {
  const ticket = readTicket(text)
  assert.equal(ticket.swarmPublicKey, swarmKey.publicKey)
  assert.equal(ticket.terms, { v: 1, key: toBase64Url(secret.publicKey), ...wanted })
  assert.is(ticket.key.peerId, secret.peerId)
  assert.equal(ticket.inviters, inviters)
  assert.equal(verifyPass(ticket.pass, swarmKey.publicKey), ticket.terms)
})

test('it is one line that a shell, a mail and a chat leave as it is', () => {
  assert.match(text, /^mcpswarm1-[\w-]+$/)
  assert.ok(text.length < 800, `${text.length} characters with one inviter`)
  const broken = `\n  ${text.slice(0, 70)}\r\n${text.slice(70, 140)}\n\t${text.slice(140)} \n`
  assert.equal(readTicket(broken).terms, readTicket(text).terms)
})

for (const [what, pasted] of [
  ['quoted', `"${text}"`], ['in backticks', `\`${text}\``], ['in brackets', `<${text}>`], ['with words before it', `Here is your ticket: ${text}`], ['with a full stop', `${text}.`],
  ['quoted in a mail', `> ${text.slice(0, 60)}\n> ${text.slice(60, 120)}\n>> ${text.slice(120)}\n`], ['in a link', `https://example.org/#ticket=${text}`],
  ['with characters that nobody sees', `\uFEFF${text.slice(0, 50)}\u200B${text.slice(50)}\u200D`], ['with a space that does not break', `\u00A0${text.slice(0, 9)}\u00A0${text.slice(9)}`]
] as const) {
  test(`a ticket ${what} is read`, () => { assert.equal(readTicket(pasted).terms, readTicket(text).terms) })
}

test('every single changed, lost or doubled character is told as a slip', () => {
  for (let at = 'mcpswarm1-'.length; at < text.length; at++) {
    const character = text[at] === 'A' ? 'B' : 'A'
    for (const slip of [text.slice(0, at) + character + text.slice(at + 1), text.slice(0, at) + text.slice(at + 1), text.slice(0, at) + character + text.slice(at)]) {
      assertCode('TICKET_INVALID', 'typo', () => readTicket(slip))
    }
  }
  for (let end = 'mcpswarm1-'.length; end < text.length; end++) assertCode('TICKET_INVALID', 'typo', () => readTicket(text.slice(0, end)))
})

for (const [what, pasted, code, reason] of [
  ['nothing', '', 'TICKET_INVALID', 'format'],
  ['an address', '/ip4/127.0.0.1/tcp/4001', 'TICKET_INVALID', 'format'],
  ['what only begins as one', text.replace('mcpswarm1-', 'mcpswarm-'), 'TICKET_INVALID', 'format'],
  ['a ticket with a word behind it', `${text} Bye`, 'TICKET_INVALID', 'typo'],
  ['a ticket of a later release', text.replace('mcpswarm1-', 'mcpswarm2-'), 'VERSION_UNSUPPORTED', undefined],
  ['more than a ticket', text + 'A'.repeat(TICKET_CHARS_MAX), 'TICKET_INVALID', 'typo']
] as const) {
  test(`refuses ${what}`, () => { assertCode(code, reason, () => readTicket(pasted)) })
}

/** A ticket whose parts somebody has put together. */
function forged (parts: object): string {
  const made = readTicket(text)
  const { key: _key, ...terms } = made.terms
  const body = { swarm: toBase64Url(made.swarmPublicKey), terms, signature: made.pass.split('.')[1], secret: toBase64Url(secret.seed), inviters: [], ...parts }
  return encode(canonicalJson(body))
}

/** With a good checksum: whoever changes a ticket can make one. */
function encode (body: string): string {
  const hash = new Uint8Array(Buffer.from(sha256Hex(`mcpswarm1-${body}`), 'hex')).subarray(0, 4)
  return `mcpswarm1-${toBase64Url(Buffer.concat([Buffer.from(body), hash]))}`
}

const { createHash } = await import('node:crypto')
function sha256Hex (bytes: string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test('a ticket put together as it should be is read', () => { assert.is(readTicket(forged({})).terms.uses, 1) })

const terms: Terms = { v: 1, key: toBase64Url(secret.publicKey), ...wanted }
const { key: _key, ...written } = terms
/** Terms of a ticket, and what its swarm would sign for them. */
const signed = (more: object, key = swarmKey, domain?: string): object => ({ terms: { ...written, ...more }, signature: sign({ ...terms, ...more }, key, domain).split('.')[1] })

for (const [what, parts, code, reason] of [
  ['longer terms under the old signature', { terms: { ...written, uses: 99 } }, 'TICKET_INVALID', 'signature'],
  ['terms that another key has signed', signed({}, other), 'TICKET_INVALID', 'signature'],
  ['terms of another signed text', signed({}, swarmKey, 'mcp-swarm/grant/1\n'), 'TICKET_INVALID', 'signature'],
  ['the key of another swarm', { swarm: toBase64Url(other.publicKey) }, 'TICKET_INVALID', 'signature'],
  ['another secret', { secret: toBase64Url(other.seed) }, 'TICKET_INVALID', 'signature'],
  ['terms of a later release', signed({ v: 2 }), 'VERSION_UNSUPPORTED', undefined],
  ['terms with a member more', signed({ more: 1 }), 'TICKET_INVALID', 'format'],
  ['terms of another role', signed({ role: 'king' }), 'TICKET_INVALID', 'format'],
  ['a signature in two parts', { signature: 'x.y' }, 'TICKET_INVALID', 'format'],
  ['no terms', { terms: 1 }, 'TICKET_INVALID', 'format'],
  ['terms over their limit', { terms: { x: 'x'.repeat(PASS_CHARS_MAX) } }, 'TICKET_INVALID', undefined],
  ['a short key', { swarm: 'AAAA' }, 'TICKET_INVALID', 'format'],
  ['an inviter without a key', { inviters: [['AAAA', '/ip4/1.2.3.4/tcp/1']] }, 'TICKET_INVALID', 'format'],
  ['inviters that are no list', { inviters: 7 }, 'TICKET_INVALID', 'format']
] as const) {
  test(`refuses ${what}, with a good checksum`, () => {
    if (reason !== undefined || code !== 'TICKET_INVALID') return assertCode(code, reason, () => readTicket(forged(parts)))
    assert.throws(() => readTicket(forged(parts)), (error: unknown) => error instanceof SwarmError && error.code === code)
  })
}

for (const [what, pass, reason] of [
  ['in another spelling', sign(terms) + '.x', 'format'], ['with blanks', sign(terms).replace(/^/, ' '), 'format'], ['of one part', 'abc', 'format'],
  ['over its limit', 'x'.repeat(PASS_CHARS_MAX + 1), 'format'], ['that names another role', `${toBase64Url(utf8(canonicalJson({ ...terms, role: 'admin' })))}.${sign(terms).split('.')[1]}`, 'signature']
] as const) {
  test(`refuses a pass ${what}`, () => { assertCode('TICKET_INVALID', reason, () => verifyPass(pass, swarmKey.publicKey)) })
}

test('rubbish with a good checksum is refused, never anything else', () => {
  for (let round = 0; round < 2_000; round++) {
    const bytes = random.bytes(Math.floor(random.next() * 200))
    const body = random.next() < 0.5 ? Buffer.from(bytes).toString('latin1') : canonicalJson({ swarm: toBase64Url(bytes), terms: {}, signature: 'a.b', secret: [bytes.length], inviters: [[[]], {}, null] })
    assert.throws(() => readTicket(encode(body)), (error: unknown) => error instanceof SwarmError && ['TICKET_INVALID', 'VERSION_UNSUPPORTED'].includes(error.code))
  }
})

for (const [what, more, named = Object.keys(more)[0] as string] of [
  ['no use', { uses: 0 }], ['too many uses', { uses: USES_MAX + 1 }], ['half a use', { uses: 1.5 }],
  ['an end before its beginning', { joinBeforeMs: NOW_MS }, 'expiresMs 0'], ['too late an end', { joinBeforeMs: NOW_MS + TICKET_MS_MAX + 1 }, 'expiresMs'],
  ['too short a membership', { memberForMs: MEMBER_MS_MIN - 1 }], ['too long a membership', { memberForMs: MEMBER_MS_MAX + 1 }],
  ['another role', { role: 'king' as 'admin' }], ['no end', { joinBeforeMs: NaN }, 'expiresMs NaN']
] as const) {
  test(`makes no ticket with ${what}, and names it`, () => {
    const make = (): string => writeTicket(swarmKey, secret, { ...wanted, ...more }, inviters)
    assertCode('INVALID_OPTION', undefined, make)
    assert.throws(make, (error: Error) => error.message.startsWith(named) && error.message.includes(' of a ticket: '))
  })
}

test('the bounds themselves are taken', () => {
  for (const more of [{ uses: USES_MAX }, { joinBeforeMs: NOW_MS + TICKET_MS_MAX }, { memberForMs: MEMBER_MS_MIN }, { memberForMs: MEMBER_MS_MAX }]) {
    assert.equal(readTicket(writeTicket(swarmKey, secret, { ...wanted, ...more }, [])).terms, { ...terms, ...more })
  }
})

test('inviters that do not fit are left out, the first are named, and of each the first addresses', () => {
  const many = Array.from({ length: INVITERS_MAX + 4 }, (_, index) => ({
    peerId: generateKey(random).peerId,
    addresses: Array.from({ length: INVITER_ADDRESSES_MAX + 4 }, (_, port) => `/ip4/10.20.30.${index}/tcp/${4000 + port}`)
  }))
  const crowded = writeTicket(swarmKey, secret, wanted, many)
  assert.ok(crowded.length <= TICKET_CHARS_MAX, `${crowded.length} characters`)
  const named = readTicket(crowded).inviters
  assert.ok(named.length >= 5, `${named.length} inviters`)
  assert.equal(named.map(({ peerId }) => peerId), many.slice(0, named.length).map(({ peerId }) => peerId))
  for (const [index, { addresses }] of named.entries()) assert.equal(addresses, many[index]?.addresses.slice(0, addresses.length))
  const [first = 0, ...rest] = named.map(({ addresses }) => addresses.length)
  assert.ok(first >= 1 && rest.every(count => count <= first), `${first} then ${rest.join()}`)
  const three = readTicket(writeTicket(swarmKey, secret, wanted, many.slice(0, 3))).inviters.map(({ addresses }) => addresses.length)
  assert.ok(three.length === 3 && three.every(count => count >= 2), `three inviters: ${three.join()}`)
  const alone = readTicket(writeTicket(swarmKey, secret, wanted, many.slice(0, 1))).inviters
  assert.is(alone[0]?.addresses.length, INVITER_ADDRESSES_MAX)
})

test('what is no address is passed over', () => {
  const odd = forged({ inviters: [[toBase64Url(alice.publicKey), 'nonsense', 7, '/ip4/1.2.3.4/tcp/1']] })
  assert.equal(readTicket(odd).inviters, [{ peerId: alice.peerId, addresses: ['/ip4/1.2.3.4/tcp/1'] }])
  assert.is(isAddress(`/${'x'.repeat(INVITER_ADDRESS_CHARS_MAX - 1)}`), true)
  assert.is(isAddress(`/${'x'.repeat(INVITER_ADDRESS_CHARS_MAX)}`), false)
})

test('the bytes of a ticket are frozen', () => {
  const frozen = JSON.parse(readFileSync(new URL('../fixtures/ticket.json', import.meta.url), 'utf8')) as { swarmSeed: string, secretSeed: string, wanted: Omit<Terms, 'v' | 'key'>, inviters: Inviter[], ticket: string, words: string }
  const [swarm, own] = [frozen.swarmSeed, frozen.secretSeed].map(hex => keyFromSeed(Uint8Array.from(Buffer.from(hex, 'hex')))) as [typeof swarmKey, typeof secret]
  assert.is(writeTicket(swarm, own, frozen.wanted, frozen.inviters), frozen.ticket)
  assert.equal(readTicket(frozen.ticket).inviters, frozen.inviters)
  assert.is(wordsOf(swarm.publicKey), frozen.words)
})

test('a swarm has six words, others for each key, and every word of the list comes up', () => {
  const seen = new Set<string>()
  const all = new Set<string>()
  for (let round = 0; round < 4_000; round++) {
    const words = wordsOf(random.bytes(32))
    assert.is(words.split(' ').length, WORDS)
    seen.add(words)
    for (const word of words.split(' ')) all.add(word)
  }
  assert.is(seen.size, 4_000)
  // Of 24,000 draws from 2,048 words, one of them is missing 2,048 × (1 - 1/2048)^24000 times: 0.017.
  assert.ok(all.size >= 2 ** WORD_BITS - 2, `${all.size} words`)
})

test.run()
