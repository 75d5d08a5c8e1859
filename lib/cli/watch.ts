/**
 * Follows the config file: whatever it comes to say is taken over by the peer of this process, and what cannot be is told.
 *
 * Editors replace a file by renaming another over it, or empty it and write it anew; tools that sync folders do either, and
 * some file systems tell of no change. So the folder is watched, not the file; besides that the file is looked at now and then; and what is
 * read counts only once it has stayed so for a moment.
 *
 * Invariants: one reading at a time, and a change during it is followed by another, so that the last state is always reached;
 * what was shared goes on for as long as the file is broken or missing.
 */
import { watch, type FSWatcher } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { sleep, SwarmError, systemClock, type Config, type Swarm } from 'mcp-swarm'
import { configOf, readText } from './settings.ts'

/** How often the file is looked at where nothing tells of changes, in milliseconds. */
export const LOOK_MS = 1_000

/** How long it stays quiet before it is read, in milliseconds; one that never does is read after QUIET_MS_MAX. */
export const QUIET_MS = 100
export const QUIET_MS_MAX = 1_000

/** How long a file may be broken before that is told, in milliseconds: somebody may be writing it. */
export const BROKEN_MS = 500

/** How long it may be missing, in milliseconds. */
export const MISSING_MS = 3_000

/** @returns the way to stop; a change under way is then finished, and no other is begun */
export function followConfig (path: string, swarm: Pick<Swarm, 'reconfigure' | 'refuseConfig'>): () => void {
  const stopping = new AbortController()
  const follower = new Follower(path, swarm, stopping.signal)
  const stop = watchFile(path, () => { follower.look() })
  follower.look() // it may have changed since it was read
  return () => {
    stopping.abort()
    stop()
  }
}

class Follower {
  readonly #path: string
  readonly #swarm: Pick<Swarm, 'reconfigure' | 'refuseConfig'>
  readonly #stopping: AbortSignal
  /** What was taken over last, or refused. */
  #done: string | undefined
  #isReading = false
  #isDue = false

  constructor (path: string, swarm: Pick<Swarm, 'reconfigure' | 'refuseConfig'>, stopping: AbortSignal) {
    this.#path = path
    this.#swarm = swarm
    this.#stopping = stopping
  }

  look (): void {
    this.#isDue = true
    if (!this.#isReading) void this.#read()
  }

  async #read (): Promise<void> {
    this.#isReading = true
    while (this.#isDue && !this.#stopping.aborted) {
      this.#isDue = false
      const found = await this.#take()
      if (!(found instanceof SwarmError)) continue
      await sleep(systemClock, found.details['line'] === undefined ? MISSING_MS : BROKEN_MS, this.#stopping).catch(() => undefined) // ended by the loop
      if (this.#stopping.aborted || this.#isDue) continue
      const still = await this.#take()
      if (still instanceof SwarmError) this.#refuse(still)
    }
    this.#isReading = false
  }

  /** @returns what is wrong with the file */
  async #take (): Promise<SwarmError | undefined> {
    let config: Config
    try {
      const text = await readText(this.#path)
      if (text === this.#done) return undefined
      config = configOf(this.#path, text)
      this.#done = text
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      return error
    }
    if (!this.#stopping.aborted) await this.#swarm.reconfigure(config).catch((error: unknown) => { this.#failed(error) })
    return undefined
  }

  #refuse (error: SwarmError): void {
    this.#done = undefined
    if (!this.#stopping.aborted) this.#swarm.refuseConfig(new SwarmError(error.code, `${error.message}; what was shared before goes on`, { cause: error, details: error.details }))
  }

  /** Only a swarm that closes refuses a change. */
  #failed (error: unknown): void {
    if (!(error instanceof SwarmError && error.code === 'CLOSED')) throw error
  }
}

/**
 * Calls back after a file may have been changed, replaced, made or removed: soon where the file system tells, else within
 * LOOK_MS and QUIET_MS.
 *
 * @returns the way to stop
 */
export function watchFile (path: string, onChange: () => void): () => void {
  let watcher: FSWatcher | undefined
  let seen: string | undefined
  let firstMs: number | undefined
  let cancelQuiet = (): void => {}
  let isStopped = false
  const tell = (): void => {
    const nowMs = systemClock.nowMs()
    firstMs ??= nowMs
    cancelQuiet()
    cancelQuiet = systemClock.after(Math.max(0, Math.min(QUIET_MS, firstMs + QUIET_MS_MAX - nowMs)), () => {
      firstMs = undefined
      onChange()
    })
  }
  const attach = (): void => {
    watcher?.close()
    watcher = undefined
    try {
      watcher = watch(dirname(path), { persistent: false }, (_event, name) => { if (name === null || name === basename(path)) tell() })
      watcher.on('error', () => { watcher?.close() }) // looking goes on
    } catch {
      watcher = undefined // no such folder at this moment, or no watching here: looking goes on
    }
  }
  const look = async (): Promise<void> => {
    const now = await stat(path, { bigint: true }).then(({ ino, size, mtimeNs }) => `${ino} ${size} ${mtimeNs}`, () => 'missing')
    if (isStopped) return
    if (seen !== undefined && seen !== now) {
      tell()
      attach() // its folder may be another too
    }
    seen = now
    cancelLook = systemClock.after(LOOK_MS, () => { void look() })
  }
  let cancelLook = (): void => {}
  attach()
  void look()
  return () => {
    isStopped = true
    watcher?.close()
    cancelQuiet()
    cancelLook()
  }
}
