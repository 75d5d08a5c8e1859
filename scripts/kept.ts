/**
 * Starts a program of the tests: the one script beside this one that has its name. The first to end, or to have run for a while, keeps
 * what V8 made of it, and all that start later run that: to read and compile modules is half of what a start takes, and the tests start
 * hundreds. `lib/cli/launch.ts` does so for users, who are many on one machine; here both files are of one run of the tests, and end with it.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { Script } from 'node:vm'

/** When those keep it that will be killed, in milliseconds after they began: they have done most of what they do. */
const KEEP_AFTER_MS = 2_000

const FILE = __filename.replace(/\.cjs$/, '.script')
const CODE = `${FILE}.code`

const text = readFileSync(FILE, 'latin1') // it is ASCII: esbuild escapes the rest
const script = new Script(`(function (exports, require, module, __filename, __dirname) { ${text}\n})`, { filename: FILE, cachedData: kept() })
if (script.cachedDataRejected !== false) {
  process.once('exit', keep)
  setTimeout(keep, KEEP_AFTER_MS).unref()
}
const run = script.runInThisContext() as (...names: unknown[]) => void
const module = { exports: {} }
run(module.exports, createRequire(FILE), module, FILE, dirname(FILE))

function keep (): void {
  if (existsSync(CODE)) return
  const draft = `${CODE}.${randomUUID()}`
  try {
    writeFileSync(draft, script.createCachedData())
    renameSync(draft, CODE)
  } catch {
    rmSync(draft, { force: true }) // a test may have taken its right to write; what fails costs speed alone
  }
}

function kept (): Buffer | undefined {
  try {
    return readFileSync(CODE)
  } catch {
    return undefined // nobody has kept it yet
  }
}
