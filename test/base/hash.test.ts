import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { toBase64Url } from '../../lib/base/bytes.ts'
import * as browser from '../../lib/base/hash.browser.ts'
import * as node from '../../lib/base/hash.node.ts'

for (const [where, { sha256, isSha256 }] of Object.entries({ browser, node })) {
  test(`is SHA-256 in ${where}`, () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    console.log(`\nseed ${seed}`)
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      assert.is(toBase64Url(sha256(bytes)), createHash('sha256').update(bytes).digest('base64url'))
    }), { seed })
  })

  test(`compares SHA-256 in ${where}`, () => {
    for (let byte = 0; byte < 256; byte++) {
      const bytes = Uint8Array.of(byte)
      const beginning = sha256(bytes).slice(0, 16)
      assert.ok(isSha256(bytes, beginning))
      beginning[byte % 16] = (beginning[byte % 16] as number) ^ 1
      assert.not(isSha256(bytes, beginning))
    }
  })
}

test.run()
