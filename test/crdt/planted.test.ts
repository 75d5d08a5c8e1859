// bound: 180 s, a load
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { simulate } from '../../lib/simulate/world.ts'
import { PLANTED } from './planted.ts'

/** Worlds within which a planted bug must show. */
const SEEDS_MAX = 60

for (const { name, bug, kind = 'ordinary', from = 1 } of PLANTED) {
  test(`the simulation notices: ${name}`, () => {
    for (let seed = from; seed < from + SEEDS_MAX; seed++) {
      const { failure } = simulate({ seed, kind, bug })
      // Whatever it was, it is the bug's: without it the same world holds.
      assert.is(simulate({ seed, kind }).failure, undefined, `seed ${seed} without the bug`)
      if (failure === undefined) continue
      console.log(`note: ${name}: seed ${seed}, ${failure.split('\n')[0]}`)
      return
    }
    assert.unreachable(`${SEEDS_MAX} seeds have not shown it`)
  })
}

test.run()
