import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { incarnationOn, type Footing, type Kept } from '../../crdt/incarnation.ts'

const kept: Kept = { incarnation: 7, boot: 'first' }
const whole: Footing = { durability: 'strict', boot: 'first', isDamaged: false, isWitnessed: true }

for (const [how, was, found, expected] of [
  ['a whole log, in the same start of the machine', kept, whole, 7],
  ['nothing that is kept', undefined, whole, undefined],
  ['a disk that does not flush first', kept, { ...whole, durability: 'interval' }, undefined],
  ['a disk that is not used', kept, { ...whole, durability: 'memory' }, undefined],
  ['damage', kept, { ...whole, isDamaged: true }, undefined],
  ['no witness for its end', kept, { ...whole, isWitnessed: false }, undefined],
  ['another start of the machine', kept, { ...whole, boot: 'second' }, undefined],
  ['a start that nobody can name', kept, { ...whole, boot: undefined }, undefined]
] as const) {
  test(`after ${how} a peer writes on under ${expected === undefined ? 'a fresh incarnation' : 'the same one'}`, () => {
    assert.is(incarnationOn(was, found), expected)
  })
}

test.run()
