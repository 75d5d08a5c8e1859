/**
 * How peers of one user on one machine find each other with no network traffic: a folder below the user's runtime folder,
 * one per swarm, in which each peer keeps one small file with its addresses.
 *
 * Invariants: the folder belongs to this user and nobody else may enter it (checked, not assumed); a file is written whole
 * or not at all, and only while its peer can be dialled; what a file says is only a hint, since the handshake proves who answers; a file outlives its process only
 * until somebody fails to dial it. A peer whose file, or whose whole folder, is swept away by a cleaner of temporary files
 * makes it again. Once open, a folder that cannot be used for a while costs only time: it is told of, and tried again.
 */
import { watch } from 'node:fs'
import { lstat, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { checkPrivateFolder, runtimeFolder } from '#folder'
import { isRunning, processId } from '#platform'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject, parseObject } from '../base/json.ts'
import { publicKeyOf } from '../identity/key.ts'
import type { Neighbour, Rendezvous, RendezvousOptions } from './rendezvous.ts'

/** Files read at most: bounds the work that a folder full of rubbish can cause. */
export const NEIGHBOURS_MAX = 4096

/** Largest file read, in bytes. */
export const NEIGHBOUR_BYTES_MAX = 4096

/** Addresses taken from one file. */
export const ADDRESSES_MAX = 16

/**
 * The folder is looked at this often even when no change was told, as watching is a hint too; and each of its files this often even when
 * the folder is as it was. In between a peer costs the others one look at its file, however many there are.
 */
export const SCAN_MS = 5_000
export const SURVEY_MS = 60_000

/** How long ago a folder must have changed for its time to tell it from a later state, in milliseconds: file systems round it. */
const SETTLED_MS = 2_000

/** Files looked at at once: each is several trips to the disk, and a start waits for all of them. */
const LOOKS_AT_ONCE = 16

const ENDING = '.json'

export async function openRendezvous (options: RendezvousOptions): Promise<Rendezvous> {
  const rendezvous = new FolderRendezvous(join(runtimeFolder(), options.swarmId), options)
  try {
    await rendezvous.open()
    return rendezvous
  } catch (error) {
    await rendezvous.close().catch(() => undefined) // what failed first says more
    throw error
  }
}

class FolderRendezvous implements Rendezvous {
  readonly #folder: string
  readonly #options: RendezvousOptions
  /** What each file was when last read, so that an unchanged one costs no second read. */
  readonly #seen = new Map<string, { version: string, neighbour: Neighbour | undefined }>()
  /** Where this peer can be dialled, once it can. */
  #addresses: readonly string[] | undefined
  #scanning: Promise<void> | undefined
  /** All files are to be looked at; those alone. */
  #scanAgain = false
  readonly #changed = new Set<string>()
  /** How the folder was when all files were looked at, and when. */
  #surveyed: { readonly version: string | undefined, readonly atMs: number } | undefined
  #closed = false
  #isFailing = false
  #stopWatching = (): void => {}
  #cancelScan = (): void => {}

  constructor (folder: string, options: RendezvousOptions) {
    this.#folder = folder
    this.#options = options
  }

  async open (): Promise<void> {
    try {
      await this.#settleIn()
      await this.#scan()
    } catch (cause) {
      throw this.#failure(cause)
    }
    this.#scanLater()
  }

  async announce (addresses: readonly string[]): Promise<void> {
    const isFirst = this.#addresses === undefined
    this.#addresses = addresses
    try {
      if (isFirst) await this.#scan() // it finds our file missing
      else await this.#writeOwn()
    } catch (cause) {
      throw this.#failure(cause)
    }
  }

  async check (peerId: string): Promise<void> {
    const neighbour = this.#seen.get(peerId)?.neighbour
    if (this.#closed || neighbour === undefined || isRunning(neighbour.processId)) return
    await rm(this.#pathOf(peerId), { force: true })
    await this.#scan()
  }

  async close (): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#stopWatching()
    this.#cancelScan()
    await this.#scanning?.catch(() => undefined) // whoever asked for that scan has its error
    await rm(this.#pathOf(this.#options.peerId), { force: true })
  }

  /** Makes the folder where it is missing, is found in it once that is wanted, and is told of its changes. */
  async #settleIn (): Promise<void> {
    await checkPrivateFolder(dirname(this.#folder))
    await checkPrivateFolder(this.#folder)
    await this.#writeOwn()
    this.#watch()
  }

  /** The system may have no watches left: the regular scan goes on finding peers, only later. */
  #watch (): void {
    this.#stopWatching()
    this.#stopWatching = () => {}
    if (this.#closed) return
    try {
      const watcher = watch(this.#folder, { persistent: false }, (_, name) => { this.#told(name) })
      watcher.on('error', () => { watcher.close() })
      this.#stopWatching = () => { watcher.close() }
    } catch (cause) {
      this.#tell(cause)
    }
  }

  #scanLater (): void {
    if (this.#closed) return
    const { clock, random } = this.#options
    this.#cancelScan()
    this.#cancelScan = clock.after(SCAN_MS * (0.75 + random.next() / 2), () => {
      this.#watchOver(this.#scanIfChanged())
      this.#scanLater()
    })
  }

  /** The system tells of a change; of drafts too, which are of no use to anyone else. */
  #told (name: string | null): void {
    if (name?.startsWith('.') === true) return
    const peerId = name?.endsWith(ENDING) === true ? name.slice(0, -ENDING.length) : undefined
    if (peerId === undefined || peerId === this.#options.peerId) this.#scanAgain = true
    else this.#changed.add(peerId)
    this.#watchOver(this.#work())
  }

  #watchOver (work: Promise<void>): void {
    work.then(() => {
      if (this.#isFailing && !this.#closed) this.#options.onTrouble?.(undefined)
      this.#isFailing = false
    }, (error: unknown) => { this.#tell(error) })
  }

  /** Once for each time it begins to fail: it is tried again every few seconds. */
  #tell (cause: unknown): void {
    if (this.#isFailing || this.#closed) return
    this.#isFailing = true
    this.#options.onTrouble?.(this.#failure(cause))
  }

  #failure (cause: unknown): SwarmError {
    if (cause instanceof SwarmError) return cause
    return new SwarmError('FOLDER_UNUSABLE', `rendezvous folder ${this.#folder} cannot be used: ${messageOf(cause)}`, { cause, details: { folder: this.#folder } })
  }

  /** A change during a scan causes one more. */
  async #scan (): Promise<void> {
    this.#scanAgain = true
    await this.#work()
  }

  /** Every file comes and goes, and is replaced, by a change of its folder: where that is as it was, so are they. */
  async #scanIfChanged (): Promise<void> {
    const { atMs, version } = this.#surveyed ?? {}
    const isOld = atMs === undefined || this.#options.clock.nowMs() - atMs >= SURVEY_MS
    if (isOld || this.#isFailing || version === undefined || version !== await this.#folderVersion()) await this.#scan()
  }

  /** Undefined while it may change once more without looking different. */
  async #folderVersion (): Promise<string | undefined> {
    try {
      const { ino, mtimeMs } = await lstat(this.#folder)
      return Math.abs(this.#options.clock.wallMs() - mtimeMs) < SETTLED_MS ? undefined : `${ino} ${mtimeMs}`
    } catch (error) {
      if (codeOf(error) === undefined) throw error
      return undefined
    }
  }

  /** One look at a time. */
  async #work (): Promise<void> {
    this.#scanning ??= this.#workWhileAsked().finally(() => { this.#scanning = undefined })
    await this.#scanning
  }

  async #workWhileAsked (): Promise<void> {
    while ((this.#scanAgain || this.#changed.size > 0) && !this.#closed) {
      const isSurvey = this.#scanAgain
      this.#scanAgain = false
      const waiting = isSurvey ? await this.#survey() : [...this.#changed]
      for (const peerId of waiting) this.#changed.delete(peerId)
      const looker = async (): Promise<void> => { for (let peerId = waiting.pop(); peerId !== undefined; peerId = waiting.pop()) await this.#look(peerId) }
      await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, looker))
    }
  }

  /** The other peers that have a file; those that had one have left. */
  async #survey (): Promise<string[]> {
    this.#surveyed = { version: await this.#folderVersion(), atMs: this.#options.clock.nowMs() }
    const present = new Set(await this.#list())
    // Not there: then neither may the folder be that we watch.
    if (!present.delete(this.#options.peerId) && this.#addresses !== undefined) await this.#settleIn()
    for (const peerId of this.#seen.keys()) {
      if (!present.has(peerId)) this.#forget(peerId)
    }
    return [...present]
  }

  /** The peers that have a file. */
  async #list (): Promise<string[]> {
    try {
      const names = (await readdir(this.#folder)).filter(name => name.endsWith(ENDING)).slice(0, NEIGHBOURS_MAX)
      return names.map(name => name.slice(0, -ENDING.length))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [] // swept away
      throw error
    }
  }

  #forget (peerId: string): void {
    const known = this.#seen.get(peerId)
    this.#seen.delete(peerId)
    if (known?.neighbour !== undefined) this.#options.onGone(peerId)
  }

  async #look (peerId: string): Promise<void> {
    try {
      const facts = await lstat(this.#pathOf(peerId))
      const version = `${facts.ino} ${facts.mtimeMs} ${facts.size}`
      if (this.#closed || this.#seen.get(peerId)?.version === version) return
      const usable = facts.isFile() && facts.size <= NEIGHBOUR_BYTES_MAX
      const neighbour = usable ? readNeighbour(await readFile(this.#pathOf(peerId), 'utf8'), peerId) : undefined
      this.#seen.set(peerId, { version, neighbour })
      if (neighbour !== undefined && !this.#closed) this.#options.onFound(neighbour)
    } catch (error) {
      // It has left, or cannot be read: one file hides no other, and is looked at again.
      if (codeOf(error) === undefined) throw error
      if (codeOf(error) === 'ENOENT' && !this.#closed) this.#forget(peerId)
    }
  }

  async #writeOwn (): Promise<void> {
    if (this.#addresses === undefined) return
    const { peerId } = this.#options
    const draft = join(this.#folder, `.${peerId}`)
    await writeFile(draft, JSON.stringify({ v: 1, peerId, pid: processId, addresses: this.#addresses }), { mode: 0o600 })
    await rename(draft, this.#pathOf(peerId))
  }

  #pathOf (peerId: string): string {
    return join(this.#folder, peerId + ENDING)
  }
}

/** The system's name for what went wrong; undefined for anything else. */
function codeOf (error: unknown): string | undefined {
  const { code, syscall } = error as { code?: string, syscall?: string }
  return syscall === undefined ? undefined : code
}

/** @returns undefined for a file of another version, of rubbish, or that speaks for another peer: it is passed over */
export function readNeighbour (text: string, peerId: string): Neighbour | undefined {
  try {
    publicKeyOf(peerId)
    const facts = parseObject(text, 'a rendezvous file')
    const { v, peerId: named, pid, addresses } = facts
    if (!isObject(facts) || v !== 1 || named !== peerId || !Number.isSafeInteger(pid) || !Array.isArray(addresses)) return undefined
    if (!addresses.every(address => typeof address === 'string')) return undefined
    return { peerId, processId: pid as number, addresses: (addresses).slice(0, ADDRESSES_MAX) }
  } catch (error) {
    if (error instanceof SwarmError) return undefined
    throw error
  }
}
