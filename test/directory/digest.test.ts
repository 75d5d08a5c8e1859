import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { toBase64Url } from '../../lib/base/bytes.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { Marks, bitsFor, isDigest, isMark, markOf, partOf, PARTS_BITS_MAX } from '../../lib/directory/digest.ts'

const seed = 3_301
const random = seededRandom(seed)
const mark = (): string => markOf(toBase64Url(Uint8Array.from({ length: 64 }, () => Math.floor(random.next() * 256))))
console.log(`marks: seed ${seed}`)

function marksOf (all: readonly string[]): Marks {
  const marks = new Marks()
  for (const each of all) marks.set(each, each)
  return marks
}

test('a mark is the start of a signature, and a digest has two numbers', () => {
  const marks = Array.from({ length: 100 }, mark)
  for (const each of marks) assert.ok(isMark(each))
  assert.ok(isDigest(marksOf(marks).digest()) && isDigest(marksOf([]).digest()))
  for (const other of ['', 'a'.repeat(10), 'a'.repeat(12), 'aaaaaaaaaa.', 7]) assert.not.ok(isMark(other))
  for (const other of ['', '1', '1.2.3', '1.A', `${'z'.repeat(7)}.1`, 7]) assert.not.ok(isDigest(other))
})

test('a digest does not depend on an order, and tells of any one difference', () => {
  const marks = Array.from({ length: 1_000 }, mark)
  const all = marksOf(marks)
  const digest = all.digest()
  assert.is(marksOf([...marks].reverse()).digest(), digest)
  for (const each of marks) {
    all.delete(each)
    assert.is.not(all.digest(), digest)
    all.set(each, 'again')
    all.set(each, 'another peer of the same mark')
    assert.is(all.digest(), digest)
  }
  for (const each of [...marks, ...marks]) all.delete(each)
  assert.equal([all.size, all.digest()], [0, marksOf([]).digest()])
})

test('digests of parts are those of the marks in them, however many parts', () => {
  const all = Array.from({ length: 700 }, mark)
  for (let bits = 0; bits <= PARTS_BITS_MAX; bits++) {
    const digests = marksOf(all).digests(bits)
    assert.is(digests.length, 2 ** bits)
    for (const [part, digest] of digests.entries()) assert.is(digest, marksOf(all.filter(each => partOf(each, bits) === part)).digest())
  }
})

test('parts are as many as the root of what they part, and about as large as each other', () => {
  assert.equal([1, 16, 17, 100, 1_000, 10_000, 1_000_000].map(bitsFor), [0, 0, 3, 4, 5, 7, PARTS_BITS_MAX])
  const counts = new Map<number, number>()
  for (let count = 0; count < 3_200; count++) {
    const part = partOf(mark(), 5)
    counts.set(part, (counts.get(part) ?? 0) + 1)
  }
  assert.is(counts.size, 32)
  assert.ok(Math.max(...counts.values()) < 160 && Math.min(...counts.values()) > 50)
})

test('two sets find out what each lacks, by what is a small part of them', () => {
  for (let round = 0; round < 50; round++) {
    const shared = Array.from({ length: Math.floor(random.next() * 1_500) }, mark)
    const [here, there] = [Array.from({ length: Math.floor(random.next() * 4) }, mark), Array.from({ length: Math.floor(random.next() * 4) }, mark)]
    const [own, theirs] = [[...shared, ...here], [...there, ...shared]]
    const { bits, parts } = marksOf(own).differing(marksOf(theirs).digests(bitsFor(theirs.length)))
    const { missingHere, missingThere } = marksOf(theirs).compare(bits, parts)
    assert.equal(missingHere.sort(), here.sort())
    assert.equal(missingThere.sort(), there.sort())
    const listed = [...parts.values()].flat().length
    assert.ok(listed <= (here.length + there.length) * 2.2 * (own.length / 2 ** bits + 8), `${listed} marks for ${here.length + there.length} differences among ${own.length}`)
  }
})

test.run()
