/**
 * What is published as the command `mcp-swarm`. Every command but one is loaded by Node itself; `connect`, whose client waits for
 * it, is one script in one file (connect.cjs), and what V8 made of that script is kept for the next start: reading and compiling it
 * takes most of a start. docs/decisions/kept-code.md has the figures.
 *
 * Kept code runs as it is. So it is read only from a folder that is this user's and that nobody else may enter, under the hash of
 * the script and the version of Node, with a checksum; where anything is amiss, the script is compiled as if nothing were kept.
 */
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { Script } from 'node:vm'
import { KEEP_CODE } from './code.ts'

/** Of the script, made when it was built. */
declare const SCRIPT_HASH: string

/** Files of kept code, at most two for each script and version of Node; the eldest goes. */
const FILES_MAX = 4

/** Largest file of kept code that is read, in bytes: several times what there is. */
const FILE_BYTES_MAX = 16 * 2 ** 20

const CHECKSUM_BYTES = 32
const OTHERS = 0o077
const FILE = join(__dirname, 'connect.cjs')

if (process.argv[2] === 'connect') connect()
else void import('./main.ts')

function connect (): void {
  const folder = cacheFolder()
  const name = `${SCRIPT_HASH}-${process.version}-${process.arch}`
  const kept = folder === undefined ? undefined : { lean: join(folder, `${name}.code`), full: join(folder, `${name}-full.code`) }
  const lean = kept === undefined ? undefined : read(kept.lean)
  const text = readFileSync(FILE, 'latin1') // it is ASCII: see build.ts
  const script = new Script(`(function (exports, require, module, __filename, __dirname) { ${text}\n})`, { filename: FILE, cachedData: lean ?? (kept === undefined ? undefined : read(kept.full)) })
  const isKept = script.cachedDataRejected === false
  if (kept !== undefined && !(isKept && lean !== undefined)) {
    Object.assign(globalThis, {
      [KEEP_CODE]: (isLean: boolean) => { if (isLean || !isKept) keep(isLean ? kept.lean : kept.full, script.createCachedData()) }
    })
  }
  const run = script.runInThisContext() as (...names: unknown[]) => void
  const module = { exports: {} }
  run(module.exports, createRequire(FILE), module, FILE, dirname(FILE))
}

/** This user's own, or undefined: then nothing is kept. */
function cacheFolder (): string | undefined {
  const { LOCALAPPDATA, NODE_DISABLE_COMPILE_CACHE, NODE_V8_COVERAGE, XDG_CACHE_HOME } = process.env
  if ([NODE_DISABLE_COMPILE_CACHE, NODE_V8_COVERAGE].some(wish => wish !== undefined && wish !== '')) return undefined
  const named = process.platform === 'win32' ? LOCALAPPDATA : process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : XDG_CACHE_HOME
  const folder = join(named !== undefined && isAbsolute(named) ? named : join(homedir(), '.cache'), 'mcp-swarm')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const found = lstatSync(folder)
    const isOurs = process.geteuid === undefined || (found.uid === process.geteuid() && (found.mode & OTHERS) === 0)
    return isOurs && found.isDirectory() ? folder : undefined
  } catch {
    return undefined // a home that cannot be written to
  }
}

function read (path: string): Buffer | undefined {
  try {
    if (statSync(path).size > FILE_BYTES_MAX) return undefined
    const bytes = readFileSync(path)
    const code = bytes.subarray(CHECKSUM_BYTES)
    return checksum(code).equals(bytes.subarray(0, CHECKSUM_BYTES)) ? code : undefined
  } catch {
    return undefined // not kept yet
  }
}

/** Whole or not at all, whoever else does the same. What fails costs speed alone: a draft left behind goes as the eldest. */
function keep (path: string, code: Buffer): void {
  const draft = `${path}.${process.pid}`
  try {
    writeFileSync(draft, Buffer.concat([checksum(code), code]), { mode: 0o600 })
    renameSync(draft, path)
    for (const old of eldest(dirname(path))) rmSync(old, { force: true })
  } catch {
    return // a full disk, or a folder taken away meanwhile
  }
}

function eldest (folder: string): string[] {
  const files = readdirSync(folder).map(name => join(folder, name)).map(path => ({ path, at: statSync(path).mtimeMs }))
  return files.sort((one, other) => other.at - one.at).slice(FILES_MAX).map(({ path }) => path)
}

function checksum (bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
