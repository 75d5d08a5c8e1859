/** `install`: writes the entry that runs `mcp-swarm connect` into the config file of an MCP client. */
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { SwarmError } from 'mcp-swarm'
import { targetOf, type Client, type Target } from './client.ts'
import { diff } from './diff.ts'
import { putEntry } from './entry.ts'
import { UsageError } from './failure.ts'
import { next } from './look.ts'
import { isThere, readOriginal, rewrite } from './rewrite.ts'
import { findPlace, type CommonOptions } from './settings.ts'
import type { Terminal } from './terminal.ts'
import { plainText } from './text.ts'

/** What a client's own rules for names and for tools with the name before them leave room for. */
const NAME = /^[A-Za-z0-9_-]{1,32}$/

/** How often to begin anew when the client writes its file at the same moment. */
const ATTEMPTS_MAX = 5

/** Modes of files that we make. The user's own may come to hold keys of other servers. */
const NEW_MODE = { project: 0o666, user: 0o600 } as const

export interface InstallOptions extends CommonOptions {
  /** The name of the entry. */
  readonly as: string
  readonly user?: boolean
  readonly dryRun?: boolean
  readonly force?: boolean
}

/** What was done, as `--json` prints it. */
interface Report {
  readonly outcome: 'written' | 'unchanged' | 'planned'
  readonly client: Client
  readonly path: string
  readonly name: string
  readonly entry: object
  readonly isInstalled: boolean
  readonly diff: string | null
  readonly backup: string | null
}

/**
 * @throws UsageError if the file has another entry of that name, or the client seems not to be there, and `--force` is not given
 * @throws SwarmError CONFIG_INVALID, FOLDER_UNUSABLE; the file is then as it was
 */
export async function install (client: Client, options: InstallOptions, terminal: Terminal): Promise<void> {
  if (!NAME.test(options.as)) throw new UsageError(`--as takes 1 to 32 of A-Z a-z 0-9 _ and -, not ${JSON.stringify(options.as)}`)
  const target = targetOf(client, options.user === true, { platform: process.platform, env: process.env, home: homedir(), folder: process.cwd() })
  const flags = [['--dir', options.dir], ['--config', options.config]].flatMap(([flag = '', path]) => path === undefined ? [] : [flag, resolve(path)])
  const [command, ...before] = target.npx
  const entry = { ...(target.isTyped && { type: 'stdio' }), command, args: [...before, '-y', 'mcp-swarm', 'connect', ...flags] }
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const report = await attemptInstall(client, target, entry, options, terminal)
    if (report !== undefined) return tell(report, target, findPlace(options).flags, terminal)
  }
  throw new SwarmError('FOLDER_UNUSABLE', `${target.path} kept changing while it was written: close ${target.title}, then try again`, { details: { path: target.path } })
}

/** @returns undefined if the file was changed by another meanwhile */
async function attemptInstall (client: Client, target: Target, entry: object, { as: name, dryRun, force }: InstallOptions, terminal: Terminal): Promise<Report | undefined> {
  const { path, title } = target
  const isInstalled = target.signs.length === 0 || (await Promise.all(target.signs.map(isThere))).includes(true)
  const original = await readOriginal(path)
  const { found, text } = putEntry(original?.text ?? '', { path, member: target.member, name }, entry)
  const report = { client, path, name, entry, isInstalled, diff: null, backup: null }
  if (found === 'same') return { ...report, outcome: 'unchanged' }
  const changes = diff(path, original?.text, text)
  if (found === 'other' && force !== true) {
    throw new UsageError(`${path} has another entry named ${name}.\nChoose another name with --as NAME, or replace it with --force.`)
  }
  if (dryRun === true) return { ...report, outcome: 'planned', diff: changes }
  if (!isInstalled && force !== true) {
    if (!terminal.json) terminal.print(shown(changes, terminal))
    throw new UsageError(`${title} seems not to be installed: there is no ${target.signs.join(' and no ')}.\nNothing was written; --force writes ${path} all the same.`)
  }
  const done = await rewrite(path, original, text, NEW_MODE[target.scope])
  return done && { ...report, outcome: 'written', diff: changes, backup: done.backup }
}

function tell (report: Report, { title, after }: Target, flags: string, terminal: Terminal): void {
  if (terminal.json) return terminal.print(JSON.stringify(report))
  const { outcome, path, name, backup, isInstalled } = report
  if (outcome === 'planned') {
    terminal.print(`${path}\n${shown(report.diff ?? '', terminal)}`)
    if (!isInstalled) terminal.note(`${title} seems not to be installed: without --dry-run, this takes --force.`)
    return terminal.note('Nothing was written: that was --dry-run.')
  }
  terminal.print(outcome === 'written' ? `Wrote ${name} to ${path}` : `${path} has this entry already, as ${name}: nothing was written.`)
  if (backup !== null) terminal.print(`Before: ${backup}`)
  next(terminal, `${after}; see what it gets: mcp-swarm tools${flags}`)
}

/** The file may hold what others wrote. */
function shown (text: string, terminal: Terminal): string {
  return terminal.isTerminal ? plainText(text) : text
}
