/** What the documents say of the tree is checked: files they name are there, limits they state are the code's. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { register } from 'tsx/esm/api'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

register() // for the sources that are imported by their name
const root = fileURLToPath(new URL('..', import.meta.url))
const documents = ['README.md', 'CHANGELOG.md', ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.md')).map(name => join('docs', name))]
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')

for (const path of documents) {
  test(`${path} names only files that are there`, () => {
    const named = [...textOf(path).matchAll(/`((?:lib|transports|test|scripts|examples|docs|benchmarks)\/[\w./-]+)`/g)].map(([, name = '']) => name)
    assert.equal(named.filter(name => !existsSync(join(root, name))), [])
  })

  test(`${path} links only to files that are there`, () => {
    const links = [...textOf(path).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target = '']) => target)
    assert.equal(links.filter(target => !existsSync(join(root, path, '..', target))), [])
  })
}

test('the limits in docs/PROTOCOL.md are those of the code', async () => {
  const rows = [...textOf('docs/PROTOCOL.md').matchAll(/^\| `([A-Z_]+)` \| (\d+) \| `([\w./-]+)` \|$/gm)]
  assert.ok(rows.length >= 20, `${rows.length} limits`)
  for (const [, name = '', value, file = ''] of rows) {
    const module = await import(join(root, file)) as Record<string, unknown>
    assert.is(module[name], Number(value), `${name} in ${file}`)
  }
})

test.run()
