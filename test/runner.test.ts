/** What the test runner makes of test files that are wrong in ways uvu passes over. */
import { existsSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bundlePrograms } from '../scripts/bundle.ts'
import { runBounded } from '../scripts/child.ts'
import { judge, readTotals } from '../scripts/verdict.ts'
import type { Verdict } from '../scripts/verdict.ts'

const folder = mkdtempSync(join(tmpdir(), 'mcp-swarm-runner-'))
test.after(() => { rmSync(folder, { recursive: true, force: true }) })

const HEAD = `import { test } from '${import.meta.resolve('uvu')}'\nimport * as assert from '${import.meta.resolve('uvu/assert')}'\n`

async function run (name: string, body: string, boundMs = 20_000): Promise<Verdict> {
  const path = join(folder, `${name}.mjs`)
  writeFileSync(path, HEAD + body)
  const end = await runBounded(process.execPath, [path], {
    cwd: fileURLToPath(new URL('..', import.meta.url)), boundMs, lingerMs: 500, doneWhen: output => readTotals(output) !== undefined
  })
  return judge(end, boundMs / 1000)
}

for (const [name, body, counts, reason] of [
  ['passing', "test('a', () => {}); test('b', () => {}); test.run()", [2, 0, 0], undefined],
  ['failing', "test('a', () => {}); test('b', () => { assert.unreachable() }); test.run()", [1, 1, 0], undefined],
  ['skipping', "test('a', () => {}); test.skip('b', () => {}); test.run()", [1, 0, 1], undefined],
  ['only-skipping', "test.skip('b', () => {}); test.run()", [0, 0, 1], undefined],
  ['two-suites', "import { suite } from '" + import.meta.resolve('uvu') + "'; const s = suite('s'); s('a', () => {}); s.run(); test('b', () => {}); test.run()", [2, 0, 0], undefined],
  ['never-run', "test('a', () => {})", [0, 1, 0], 'before its tests did'],
  ['no-test', 'test.run()', [0, 1, 0], 'ran no test'],
  ['waiting-for-nothing', "test('a', async () => { await new Promise(() => {}) }); test.run()", [0, 1, 0], 'before its tests did'],
  ['ending-early', "test('a', () => { process.exit(0) }); test.run()", [0, 1, 0], 'before its tests did'],
  ['hook-throws', "test.before(() => { throw new Error('no') }); test('a', () => {}); test('b', () => {}); test.run()", [0, 3, 0], 'never ran'],
  ['exit-code', "test('a', () => { process.on('exit', () => { process.exitCode = 3 }) }); test.run()", [1, 1, 0], 'ended with 3'],
  ['lingering', "test('a', () => { setInterval(() => {}, 1000) }); test.run()", [1, 1, 0], 'keeps it alive'],
  ['leaving', "import { spawn } from 'node:child_process'; test('a', () => { spawn('sleep', ['30'], { stdio: 'ignore' }).unref() }); test.run()", [1, 1, 0], 'sleep 30']
] as const) {
  test(`a file that is ${name}`, async () => {
    const verdict = await run(name, body)
    assert.equal([verdict.passed, verdict.failed, verdict.skipped], counts, verdict.reasons.join('\n'))
    assert.is(verdict.reasons.length, reason === undefined ? 0 : 1, verdict.reasons.join('\n'))
    if (reason !== undefined) assert.match(verdict.reasons[0] ?? '', reason)
  })
}

test('a file that runs past its bound is killed, with what it started', async () => {
  const startedMs = performance.now()
  const verdict = await run('late', "import { spawn } from 'node:child_process'; test('a', async () => { spawn('sleep', ['60'], { stdio: 'inherit' }); await new Promise(resolve => setTimeout(resolve, 60_000)) }); test.run()", 2_000)
  assert.equal([verdict.passed, verdict.failed], [0, 1])
  assert.match(verdict.reasons[0] ?? '', 'still ran after 2 s')
  assert.ok(performance.now() - startedMs < 30_000, 'what it started kept its output open')
})

test('a command that does not exist is a failure, not a crash', async () => {
  const end = await runBounded('no-such-command-here', [], { cwd: folder, boundMs: 5_000 })
  assert.is(end.code, 127)
})

// Where lines are counted, programs run as modules, and nothing is kept.
if (process.env['NODE_V8_COVERAGE'] === undefined) {
  test('a program keeps its code at its first end, for all that start later; code that is none is not run', async () => {
    const cwd = fileURLToPath(new URL('..', import.meta.url))
    const outdir = join('.tmp', `kept-${process.pid}`)
    try {
      const [program = ''] = (await bundlePrograms([join('test', 'support', 'parrot.ts')], outdir)).values()
      const start = async (): Promise<unknown> => {
        const { code, output } = await runBounded(process.execPath, [program], { cwd, boundMs: 20_000 }) // it has no input, and so it ends
        return [code, output]
      }
      const kept = join(cwd, program.replace(/cjs$/, 'script.code'))
      const long = new Date('2001-01-01')
      assert.equal(await start(), [0, ''])
      assert.ok(statSync(kept).size > 1_000)
      utimesSync(kept, long, long)
      assert.equal(await start(), [0, ''])
      assert.is(statSync(kept).mtimeMs, long.getTime(), 'kept once')
      writeFileSync(kept, 'rubbish')
      assert.equal(await start(), [0, ''])
      rmSync(kept)
      assert.equal(await start(), [0, ''])
      assert.ok(existsSync(kept))
    } finally {
      rmSync(join(cwd, outdir), { recursive: true, force: true })
    }
  })
}

test.run()
