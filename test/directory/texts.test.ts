import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { TEXTS_MAX, Texts } from '../../lib/directory/texts.ts'

test('a text is given back as it is, and so many are remembered', () => {
  const texts = new Texts()
  for (let number = 0; number < 3 * TEXTS_MAX; number++) {
    assert.is(texts.share(`text ${number}`), `text ${number}`)
    assert.is(texts.share(`text ${number}`), `text ${number}`)
    assert.ok(texts.size <= TEXTS_MAX)
  }
  assert.is(texts.size, TEXTS_MAX)
})

test.run()
