// bound: 120 s
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { answerDocument, keepAll, KEPT_MAX, type Got } from '../../lib/cli/document.ts'
import { Lab } from '../../lib/testing.ts'
import { within } from '../support/within.ts'

const asked = { signal: new AbortController().signal }

test('commands keep KEPT_MAX documents open, and close the one opened first for a further one, flushed', async () => {
  await using lab = new Lab()
  const swarm = await lab.join('desk')
  const open = (): string[] => swarm.status().documents?.open.map(({ name }) => name) ?? []
  const get = async (name: string): Promise<unknown> => (await answerDocument(swarm, { do: 'doc-get', name, path: 'm/k' }, asked) as Got).value
  const names = Array.from({ length: KEPT_MAX }, (_, index) => `document ${index}`)
  const [first, second] = names as [string, string]
  await within(50_000, 'all of it', (async () => {
    const own = await swarm.document(second) // what the program itself has open stays so
    await answerDocument(swarm, { do: 'doc-set', name: first, path: 'm/k', value: 'kept' }, asked)
    for (const name of names) await get(name)
    assert.equal(new Set(open()), new Set(names))
    assert.is(await get('one more'), null)
    assert.equal([open().length, open().includes(first), open().includes('one more')], [KEPT_MAX, false, true])
    assert.is(await get(first), 'kept', 'opened anew, for the second')
    assert.equal([open().length, open().includes(second)], [KEPT_MAX + 1, true])
    await own.close()
    assert.equal([open().length, open().includes(second)], [KEPT_MAX, false])
  })())
})

test('of the documents on disk a peer that starts keeps KEPT_MAX open', async () => {
  await using lab = new Lab()
  const swarm = await lab.join('desk')
  await within(50_000, 'all of it', (async () => {
    for (let count = 0; count < KEPT_MAX + 5; count++) {
      const document = await swarm.document(`document ${count}`)
      document.set('m/k', count)
      await document.close()
    }
    assert.is(swarm.status().documents?.open.length, 0)
    await keepAll(swarm)
    assert.is(swarm.status().documents?.open.length, KEPT_MAX)
  })())
})

test.run()
