import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import * as browser from '../../lib/documents/deflate.browser.ts'
import * as node from '../../lib/documents/deflate.node.ts'

const large = new Uint8Array(300_000).map((_, index) => index % 1_000 & 255)

for (const [name, here, there] of [['of Node', node, browser], ['of browsers', browser, node]] as const) {
  test(`what one side packs the other unpacks, with the packer ${name}`, async () => {
    for (const bytes of [new Uint8Array(1), large, seededRandom(3).bytes(100_000)]) {
      const packed = await here.deflate(bytes, 2 * bytes.byteLength + 100)
      assert.ok(packed !== undefined)
      const unpacked = await there.inflate(packed, bytes.byteLength)
      assert.ok(unpacked !== undefined && Buffer.from(unpacked).equals(Buffer.from(bytes)))
    }
  })

  test(`neither way makes more than it may, with the packer ${name}`, async () => {
    assert.is(await here.deflate(seededRandom(4).bytes(50_000), 49_999), undefined)
    const packed = await here.deflate(large, large.byteLength) as Uint8Array
    assert.is(await here.inflate(packed, large.byteLength - 1), undefined)
    assert.is((await here.inflate(packed, large.byteLength))?.byteLength, large.byteLength)
  })

  test(`bytes that are not packed throw, with the packer ${name}`, async () => {
    const error = await here.inflate(new Uint8Array(1_000).fill(0xff), 10_000).then(() => undefined, (thrown: unknown) => thrown)
    assert.instance(error, Error)
  })
}

test.run()
