/** Runs a command to its end in a process group of its own, so that nothing it starts outlives its bound. */
import { execFileSync, spawn } from 'node:child_process'

export interface ChildEnd {
  readonly output: string
  readonly code: number | null
  readonly signal: string | null
  /** `late`: killed at its bound. `lingering`: said to be done, but did not end by itself. */
  readonly ending: 'own' | 'late' | 'lingering'
  /** Processes of its group that outlived it, as command lines; killed. */
  readonly leftBehind: readonly string[]
  readonly durationMs: number
}

export interface ChildOptions {
  readonly cwd: string
  readonly boundMs: number
  readonly env?: NodeJS.ProcessEnv
  /** Time to end by itself after the work is done. Default LINGER_MS. */
  readonly lingerMs?: number
  /** Whether the output so far says that the work is done; the process then has `lingerMs` to end. */
  doneWhen? (output: string): boolean
  /** Told of output as it comes. */
  onOutput? (text: string): void
}

/** Time to end by itself, write coverage and close files, after the work is done. */
const LINGER_MS = 8_000

/** Time for a group's other processes to follow their leader. */
const FOLLOW_MS = 2_000

const running = new Set<number>()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const pid of running) killGroup(pid)
    process.exit(1)
  })
}

export async function runBounded (command: string, args: readonly string[], options: ChildOptions): Promise<ChildEnd> {
  const startedMs = performance.now()
  const child = spawn(command, args, { cwd: options.cwd, env: options.env ?? process.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const pid = child.pid
  if (pid !== undefined) running.add(pid)
  let output = ''
  let ending: ChildEnd['ending'] = 'own'
  let lingering: NodeJS.Timeout | undefined
  const stop = (why: ChildEnd['ending']): void => {
    ending = why
    if (pid !== undefined) killGroup(pid)
  }
  const late = setTimeout(() => { stop('late') }, options.boundMs)
  const take = (text: string): void => {
    output += text
    options.onOutput?.(text)
    if (lingering === undefined && options.doneWhen?.(output) === true) lingering = setTimeout(() => { stop('lingering') }, options.lingerMs ?? LINGER_MS)
  }
  child.stdout.setEncoding('utf8').on('data', take)
  child.stderr.setEncoding('utf8').on('data', take)
  const { code, signal } = await new Promise<{ code: number | null, signal: string | null }>(resolve => {
    child.once('error', error => {
      output += `${error.message}\n`
      resolve({ code: 127, signal: null })
    })
    child.once('exit', (code, signal) => { resolve({ code, signal }) })
  })
  clearTimeout(late)
  clearTimeout(lingering)
  const leftBehind = pid === undefined || ending !== 'own' ? [] : await remainder(pid)
  if (pid !== undefined) {
    killGroup(pid)
    running.delete(pid)
  }
  if (!child.stdout.closed) await new Promise<void>(resolve => { child.once('close', () => { resolve() }) })
  return { output, code, signal, ending, leftBehind, durationMs: performance.now() - startedMs }
}

/** What still runs of a group whose leader has ended, after giving it a moment. */
async function remainder (pgid: number): Promise<string[]> {
  const untilMs = performance.now() + FOLLOW_MS
  let alive = members(pgid)
  while (alive.length > 0 && performance.now() < untilMs) {
    await new Promise(resolve => setTimeout(resolve, 50))
    alive = members(pgid)
  }
  return alive
}

function members (pgid: number): string[] {
  try {
    process.kill(-pgid, 0)
  } catch {
    return [] // the usual case: the group is empty
  }
  // Zombies wait for a parent that may never ask; they run nothing.
  return execFileSync('ps', ['-A', '-o', 'pgid=,stat=,args='], { encoding: 'utf8' }).split('\n')
    .map(line => /^ *(\d+) +(\S+) +(.*)$/.exec(line))
    .filter(found => found !== null && Number(found[1]) === pgid && !found[2]?.startsWith('Z'))
    .map(found => found?.[3] ?? '')
}

function killGroup (pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
