import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CLAIM_MS_MAX, CLAIM_PAUSE_MS, CLAIM_TRIES, Claims, PROMISES_MAX, PROMISE_MS } from '../../lib/access/claims.ts'
import { LEDGER_KEPT_MS, LEDGER_USES_MAX, Ledger, readUse, writeUse, type Use } from '../../lib/access/ledger.ts'
import { LEDGER_LINE_BYTES_MAX, LINE_USES_MAX, LedgerTalk, TAKEN_MAX } from '../../lib/access/ledger-talk.ts'
import type { Terms } from '../../lib/access/ticket.ts'
import { toBase64Url, utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { VirtualClock, settle } from '../support/clock.ts'
import { FaultyStorage } from '../support/faulty.ts'
import { linkedStreams, type PairedStream } from '../support/pair.ts'

const seed = Number(process.env['SEED'] ?? 20265)
console.log(`ledger: SEED=${seed}`)
const random = seededRandom(seed)
const peers = Array.from({ length: 40 }, () => generateKey(random).peerId)
const HOUR_MS = 3_600_000

class Book {
  readonly clock: VirtualClock
  readonly storage: FaultyStorage
  readonly overused: string[] = []
  readonly ledger: Ledger
  readonly claims: Claims
  readonly talks: LedgerTalk[] = []

  constructor (clock = new VirtualClock(), storage = new FaultyStorage()) {
    this.clock = clock
    this.storage = storage
    this.ledger = new Ledger({ storage, clock, onOverused: (ticket, count, uses) => { this.overused.push(`${ticket.slice(0, 4)} ${count} of ${uses}`) } })
    this.claims = new Claims({ clock, counted: ticket => this.ledger.counted(ticket) })
  }

  /** As an admin that is asked by a joiner. @returns whether it lets it in */
  async ask (terms: Terms, peerId: string): Promise<boolean> {
    return await this.claims.use({ ticket: terms.key, peerId, uses: terms.uses }, () => this.talks, async () => await this.ledger.use(terms, peerId))
  }

  terms (uses = 1, key = toBase64Url(random.bytes(32))): Terms {
    const issuedAtMs = this.clock.wallMs()
    return { v: 1, key, role: 'member', uses, issuedAtMs, joinBeforeMs: issuedAtMs + HOUR_MS, memberForMs: null }
  }
}

const uses = (ledger: Ledger): string[] => ledger.all().map(({ ticket, peerId }) => `${ticket}/${peerId}`).sort()
const peer = (index: number): string => peers[index] as string

function codeOf (error: unknown): string {
  if (!(error instanceof SwarmError)) throw error
  return error.code
}

test('it is as it was after a restart, and forgets what nobody can use any more', async () => {
  const book = new Book()
  const [old, young] = [book.terms(), { ...book.terms(), joinBeforeMs: book.clock.wallMs() + 48 * HOUR_MS }]
  assert.is(await book.ledger.use(old, peer(0)), true)
  assert.is(await book.ledger.use(young, peer(1)), true)
  const next = new Book(book.clock, book.storage)
  await next.ledger.load()
  assert.equal(uses(next.ledger), uses(book.ledger))
  await book.clock.advance(HOUR_MS + LEDGER_KEPT_MS - 1)
  assert.is(next.ledger.all().length, 2)
  await book.clock.advance(1)
  const last = new Book(book.clock, book.storage)
  await last.ledger.load()
  assert.equal([uses(last.ledger), book.storage.values.size], [[`${young.key}/${peer(1)}`], 1])
})

test('what a disk that fails could not forget takes no room from what counts, and is forgotten by a later start', async () => {
  const book = new Book()
  const many = Array.from({ length: LEDGER_USES_MAX }, (_, index): Use => ({ ticket: toBase64Url(Uint8Array.from({ length: 32 }, (_, at) => at < 2 ? index >> 8 * at : 0)), peerId: peer(0), atMs: 0, joinBeforeMs: book.clock.wallMs() + HOUR_MS, uses: 1 }))
  await book.ledger.merge(many, undefined)
  await book.clock.advance(HOUR_MS + LEDGER_KEPT_MS)
  book.storage.fails = changes => changes.every(({ value }) => value === undefined)
  const terms = book.terms(1, toBase64Url(Uint8Array.from({ length: 32 }, (_, at) => [0xcf, 0x3c, 0xf3][at % 3] as number))) // zzzz…: the last on disk
  assert.is(await book.ledger.use(terms, peer(1)), true, 'here they take none at once')
  const next = new Book(book.clock, book.storage)
  await next.ledger.load()
  assert.equal([uses(next.ledger), book.storage.values.size], [[`${terms.key}/${peer(1)}`], LEDGER_USES_MAX + 1])
  assert.is(await next.ledger.use(terms, peer(2)), false, 'it has been used')
  book.storage.fails = false
  const last = new Book(book.clock, book.storage)
  await last.ledger.load()
  assert.equal([uses(last.ledger), book.storage.values.size], [[`${terms.key}/${peer(1)}`], 1])
})

test('what is damaged on disk is passed over', async () => {
  const book = new Book()
  await book.ledger.use(book.terms(), peer(0))
  for (const [key, value] of [['access/use/x/y', '[1,2,3]'], [`access/use/${book.terms().key}/${peer(1)}`, 'rubbish'], [`access/use/${book.terms().key}/${peer(1)}`, '[1,2]'], ['access/use/', '[]']] as const) {
    book.storage.values.set(key, utf8(value))
  }
  const next = new Book(book.clock, book.storage)
  await next.ledger.load()
  assert.is(next.ledger.size, 1)
})

test('of those that come at once none is counted twice, and none too many', async () => {
  const book = new Book()
  const terms = book.terms(3)
  const all = await Promise.all(Array.from({ length: 30 }, async (_, index) => await book.ledger.use(terms, peer(index % 10))))
  assert.is(all.filter(Boolean).length, 9) // three peers, three times each
  assert.is(book.ledger.size, 3)
})

test('a use that could not be written is free again', async () => {
  const book = new Book()
  const terms = book.terms()
  book.storage.fails = true
  assert.is(await book.ledger.use(terms, peer(0)).then(() => 'counted', codeOf), 'FOLDER_UNUSABLE')
  book.storage.fails = false
  assert.is(await book.ledger.use(terms, peer(1)), true)
})

test('it holds so many uses and no more', async () => {
  const book = new Book()
  const many = Array.from({ length: LEDGER_USES_MAX }, (_, index): Use => ({ ticket: toBase64Url(Uint8Array.from({ length: 32 }, (_, at) => at < 2 ? index >> 8 * at : 0)), peerId: peer(0), atMs: 0, joinBeforeMs: book.clock.wallMs() + HOUR_MS, uses: 1 }))
  await book.ledger.merge(many, 'another')
  assert.is(book.ledger.size, LEDGER_USES_MAX)
  assert.is(await book.ledger.use(book.terms(), peer(1)).then(() => 'counted', codeOf), 'OVERLOADED')
  await book.ledger.merge([{ ...(many[0] as Use), peerId: peer(2) }], 'another')
  assert.is(book.ledger.size, LEDGER_USES_MAX)
})

test('merging is a union: in any order, as often as one likes', async () => {
  const clock = new VirtualClock()
  const books = Array.from({ length: 3 }, () => new Book(clock))
  for (const book of books) for (let round = 0; round < 5; round++) await book.ledger.use(book.terms(2), peer(round))
  const all = books.map(({ ledger }) => ledger.all())
  for (const { ledger } of books) for (const other of [...all, ...all.reverse()]) await ledger.merge(other, 'another')
  for (const { ledger } of books) assert.equal(uses(ledger), uses(books[0]?.ledger as Ledger))
  assert.is(new Set(books.map(({ ledger }) => ledger.digest())).size, 1)
})

for (const [what, value] of [
  ['nothing', undefined], ['a text', 'use'], ['too few', [toBase64Url(random.bytes(32)), peer(0), 1, 2]], ['a ticket of another length', ['short', peer(0), 1, 2, 1]],
  ['no peer', [toBase64Url(random.bytes(32)), 'me', 1, 2, 1]], ['a time before all times', [toBase64Url(random.bytes(32)), peer(0), -1, 2, 1]],
  ['an end in a far future', [toBase64Url(random.bytes(32)), peer(0), 1, 1e15, 1]], ['no uses', [toBase64Url(random.bytes(32)), peer(0), 1, 2, 0]]
] as const) {
  test(`a use of ${what} is none`, () => { assert.is(readUse(value, 0), undefined) })
}

// What ledgers tell each other.

interface Talking { readonly ends: [PairedStream, PairedStream], readonly talks: LedgerTalk[] }

function talk (one: Book, other: Book): Talking {
  const ends = linkedStreams('ledger')
  const talks: [LedgerTalk, LedgerTalk] = [new LedgerTalk(ends[0], one.ledger, one.claims, { clock: one.clock, onEnd: () => {} }), new LedgerTalk(ends[1], other.ledger, other.claims, { clock: other.clock, onEnd: () => {} })]
  one.talks.push(talks[0])
  other.talks.push(talks[1])
  return { ends, talks }
}

test('two ledgers that meet become one, and stay so: what one counts the other knows', async () => {
  const clock = new VirtualClock()
  const [one, other] = [new Book(clock), new Book(clock)]
  for (let round = 0; round < LINE_USES_MAX + 3; round++) await one.ledger.use(one.terms(), peer(round % peers.length))
  await other.ledger.use(other.terms(), peer(0))
  const { ends } = talk(one, other)
  await settle()
  assert.is(one.ledger.size, LINE_USES_MAX + 4)
  assert.equal(uses(one.ledger), uses(other.ledger))
  const terms = one.terms()
  await one.ledger.use(terms, peer(1))
  await settle()
  assert.is(await other.ledger.use(terms, peer(2)), false)
  for (const end of ends) for (const line of end.text.trimEnd().split('\n')) assert.ok(line.length <= LEDGER_LINE_BYTES_MAX, `${line.length} bytes`)
})

test('equal ledgers say a digest each, and nothing else', async () => {
  const clock = new VirtualClock()
  const [one, other] = [new Book(clock), new Book(clock)]
  await one.ledger.use(one.terms(), peer(0))
  await other.ledger.merge(one.ledger.all(), 'another')
  const { ends } = talk(one, other)
  await settle()
  for (const end of ends) assert.is(end.text, `{"digest":"${one.ledger.digest()}"}\n`)
})

test('in a ring of admins news comes to all, and comes to rest', async () => {
  const clock = new VirtualClock()
  const books = Array.from({ length: 4 }, () => new Book(clock)) as [Book, Book, Book, Book]
  const talks = books.map((book, index) => talk(book, books[(index + 1) % 4] as Book))
  await settle() // equal as they are, they have said so
  const terms = books[0].terms()
  await books[0].ledger.use(terms, peer(0))
  for (let round = 0; round < 10; round++) await settle()
  for (const { ledger } of books) assert.equal(uses(ledger), [`${terms.key}/${peer(0)}`])
  const lines = talks.flatMap(({ ends }) => ends).flatMap(end => end.text.trimEnd().split('\n')).filter(line => line.includes('"uses"'))
  assert.ok(lines.length <= 8, `${lines.length} lines`)
})

test('a ticket that two admins gave out twice while they were apart is told when they meet', async () => {
  const clock = new VirtualClock()
  const [one, other] = [new Book(clock), new Book(clock)]
  const terms = one.terms()
  assert.equal([await one.ledger.use(terms, peer(0)), await other.ledger.use(terms, peer(1))], [true, true])
  talk(one, other)
  await settle()
  assert.equal([one.overused, other.overused], [[`${terms.key.slice(0, 4)} 2 of 1`], [`${terms.key.slice(0, 4)} 2 of 1`]])
  assert.is(await one.ledger.use(terms, peer(2)), false)
})

for (const [what, line] of [
  ['rubbish', 'x'], ['a use that is none', '{"uses":[[1,2,3,4,5]]}'], ['too many in a line', `{"uses":${JSON.stringify(Array.from({ length: LINE_USES_MAX + 1 }, () => writeUse({ ticket: toBase64Url(random.bytes(32)), peerId: peer(0), atMs: 0, joinBeforeMs: 1, uses: 1 })))}}`],
  ['a claim that is none', '{"claim":["x","y",1]}'], ['an answer that is none', `{"claimed":["${'x'.repeat(43)}","${peers[0]}",1,"yes"]}`], ['a claim of no use', `{"claim":["${'x'.repeat(43)}","${peers[0]}",0]}`],
  ['a line over its limit', `{"x":"${'x'.repeat(LEDGER_LINE_BYTES_MAX)}"}`]
] as const) {
  test(`${what} ends the stream, and changes nothing`, async () => {
    const book = new Book()
    const [near, far] = linkedStreams('ledger')
    let ended = false
    new LedgerTalk(far, book.ledger, book.claims, { clock: book.clock, onEnd: () => { ended = true } })
    near.read({ data: () => {}, ended: () => {}, closed: () => {} })
    near.send(utf8(`${line}\n`))
    await settle()
    assert.equal([ended, book.ledger.size], [true, 0])
  })
}

test('of those that ask several linked admins at one moment as many are let in as the ticket says', async () => {
  for (let round = 0; round < 40; round++) {
    const clock = new VirtualClock()
    const admins = Array.from({ length: 2 + Math.floor(random.next() * 3) }, () => new Book(clock))
    for (const [index, one] of admins.entries()) for (const other of admins.slice(index + 1)) talk(one, other)
    await settle()
    const terms = (admins[0] as Book).terms(1 + Math.floor(random.next() * 3))
    const joiners = Array.from({ length: terms.uses + 1 + Math.floor(random.next() * 3) }, (_, index) => peer(index))
    const asking = joiners.map(async joiner => {
      if (random.next() < 0.5) await new Promise<void>(resolve => { clock.after(Math.floor(random.next() * 20), resolve) })
      return await (admins[Math.floor(random.next() * admins.length)] as Book).ask(terms, joiner).catch(codeOf)
    })
    let isOver = false
    const all = Promise.all(asking).finally(() => { isOver = true })
    for (let step = 0; !isOver && step < 1_000; step++) {
      await clock.advance(5)
      await settle()
    }
    const outcomes = await all
    assert.is(outcomes.filter(outcome => outcome === true).length, terms.uses, `round ${round}: ${outcomes.join()} at ${admins.length} admins`)
    assert.is(outcomes.filter(outcome => outcome === false).length, joiners.length - terms.uses, `round ${round}: ${outcomes.join()}`)
    for (const { ledger, overused } of admins) assert.equal([ledger.size, overused], [terms.uses, []])
  }
})

test('an admin that says nothing, or that has ended, holds nobody up for long', async () => {
  const clock = new VirtualClock()
  const book = new Book(clock)
  const [near, far] = linkedStreams('ledger')
  const mute = new LedgerTalk(near, book.ledger, book.claims, { clock, onEnd: () => {} })
  far.read({ data: () => {}, ended: () => {}, closed: () => {} })
  book.talks.push(mute)
  let isIn: boolean | undefined
  const asking = book.ask(book.terms(), peer(0)).then(answer => { isIn = answer })
  await clock.advance(CLAIM_MS_MAX - 1)
  assert.is(isIn, undefined)
  await clock.advance(1)
  await settle()
  assert.is(isIn, true)
  await asking
  const next = book.ask(book.terms(), peer(1))
  far.abort(new Error('gone'))
  assert.is(await next, true)
  assert.is(await book.ask(book.terms(), peer(2)), true)
})

test('a promise that nobody comes for ends, as does one that is taken back; so many are held', async () => {
  const book = new Book()
  const claim = (index: number, uses = 1): Parameters<Claims['promise']>[0] => ({ ticket: 'x'.repeat(43), peerId: peer(index), uses })
  assert.equal([book.claims.promise(claim(0)), book.claims.promise(claim(0)), book.claims.promise(claim(1))], [true, true, false])
  book.claims.release(claim(0))
  assert.is(book.claims.promise(claim(1)), true)
  await book.clock.advance(PROMISE_MS - 1)
  assert.is(book.claims.promise(claim(2)), false)
  await book.clock.advance(1)
  assert.is(book.claims.promise(claim(2)), true)
  await book.clock.advance(PROMISE_MS)
  let held = 0
  while (book.claims.promise({ ticket: toBase64Url(random.bytes(32)), peerId: peer(0), uses: 1 })) held += 1
  assert.is(held, PROMISES_MAX)
})

test('an admin that never promises is asked so many times, and keeps nothing taken', async () => {
  const book = new Book()
  const claim = { ticket: 'x'.repeat(43), peerId: peer(0), uses: 1 }
  let [asked, released, written] = [0, 0, 0]
  const rival = {
    claim: async () => {
      asked += 1
      return false
    },
    release: () => { released += 1 }
  }
  const using = book.claims.use(claim, () => [rival], async () => ++written > 0).then(() => 'counted', codeOf)
  await book.clock.advance(CLAIM_TRIES * CLAIM_PAUSE_MS)
  assert.is(await using, 'OVERLOADED')
  assert.equal([asked, released, written], [CLAIM_TRIES, CLAIM_TRIES, 0])
  assert.is(book.claims.promise({ ...claim, peerId: peer(1) }), true)
})

test('who tells without end is cut off', async () => {
  const book = new Book()
  const [near, far] = linkedStreams('ledger')
  let ended = false
  new LedgerTalk(far, book.ledger, book.claims, { clock: book.clock, onEnd: () => { ended = true } })
  near.read({ data: () => {}, ended: () => {}, closed: () => {} })
  const use = writeUse({ ticket: toBase64Url(random.bytes(32)), peerId: peer(0), atMs: 0, joinBeforeMs: HOUR_MS, uses: 1 })
  const line = utf8(`${JSON.stringify({ uses: Array.from({ length: LINE_USES_MAX }, () => use) })}\n`)
  let told = 0
  for (; !ended && told <= TAKEN_MAX; told += LINE_USES_MAX) {
    near.send(line)
    await settle()
  }
  assert.ok(ended && told > TAKEN_MAX, `${told} told`)
  assert.is(book.ledger.size, 1)
})

test.run()
