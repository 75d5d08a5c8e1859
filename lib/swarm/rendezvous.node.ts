/**
 * How peers of one user on one machine find each other with no network traffic: a folder below the user's runtime folder,
 * one per swarm, in which each peer keeps one small file with its addresses.
 *
 * Invariants: the folder belongs to this user and nobody else may enter it (checked, not assumed); a file is written whole
 * or not at all; what a file says is only a hint, since the handshake proves who answers; a file outlives its process only
 * until somebody fails to dial it. A peer whose file is swept away by a cleaner of temporary files writes it again.
 */
import { watch } from 'node:fs'
import { lstat, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkPrivateFolder, runtimeFolder } from '#folder'
import { isRunning, processId } from '#platform'
import { SwarmError } from '../base/error.ts'
import { isObject, parseObject } from '../base/json.ts'
import { publicKeyOf } from '../identity/key.ts'
import type { Neighbour, Rendezvous, RendezvousOptions } from './rendezvous.ts'

/** Files read at most: bounds the work that a folder full of rubbish can cause. */
export const NEIGHBOURS_MAX = 4096

/** Largest file read, in bytes. */
export const NEIGHBOUR_BYTES_MAX = 4096

/** Addresses taken from one file. */
export const ADDRESSES_MAX = 16

/** The folder is read again this often even when no change was told: watching is a hint too. */
export const SCAN_MS = 5000

const ENDING = '.json'

export async function openRendezvous (options: RendezvousOptions): Promise<Rendezvous> {
  await checkPrivateFolder(runtimeFolder())
  const folder = join(runtimeFolder(), options.swarmId)
  await checkPrivateFolder(folder)
  const rendezvous = new FolderRendezvous(folder, options)
  await rendezvous.open()
  return rendezvous
}

class FolderRendezvous implements Rendezvous {
  readonly #folder: string
  readonly #options: RendezvousOptions
  /** What each file was when last read, so that an unchanged one costs no second read. */
  readonly #seen = new Map<string, { version: string, neighbour: Neighbour | undefined }>()
  #scanning: Promise<void> | undefined
  #scanAgain = false
  #closed = false
  #stops: (() => void)[] = []

  constructor (folder: string, options: RendezvousOptions) {
    this.#folder = folder
    this.#options = options
  }

  async open (): Promise<void> {
    await this.#writeOwn()
    this.#watch()
    await this.#scan()
    this.#scanLater()
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
    for (const stop of this.#stops) stop()
    await this.#scanning
    await rm(this.#pathOf(this.#options.peerId), { force: true })
  }

  #watch (): void {
    const watcher = watch(this.#folder, { persistent: false }, () => { void this.#scan() })
    // The system may have no watches left: the regular scan goes on finding peers, only later.
    watcher.on('error', () => { watcher.close() })
    this.#stops.push(() => { watcher.close() })
  }

  #scanLater (): void {
    if (this.#closed) return
    const cancel = this.#options.clock.after(SCAN_MS * (0.75 + this.#options.random.next() / 2), () => {
      void this.#scan().then(() => { this.#scanLater() })
    })
    this.#stops = [...this.#stops.slice(0, 1), cancel]
  }

  /** One scan at a time; a change during a scan causes one more. */
  async #scan (): Promise<void> {
    this.#scanAgain = true
    this.#scanning ??= this.#scanWhileAsked().finally(() => { this.#scanning = undefined })
    await this.#scanning
  }

  async #scanWhileAsked (): Promise<void> {
    while (this.#scanAgain && !this.#closed) {
      this.#scanAgain = false
      const names = (await readdir(this.#folder)).filter(name => name.endsWith(ENDING)).slice(0, NEIGHBOURS_MAX)
      const present = new Set(names.map(name => name.slice(0, -ENDING.length)))
      if (!present.delete(this.#options.peerId)) await this.#writeOwn()
      for (const peerId of this.#seen.keys()) {
        if (!present.has(peerId)) this.#forget(peerId)
      }
      for (const peerId of present) await this.#look(peerId)
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
      if ((error as { code?: unknown }).code !== 'ENOENT') throw error // it left between the listing and the look
    }
  }

  async #writeOwn (): Promise<void> {
    const { peerId, addresses } = this.#options
    const draft = join(this.#folder, `.${peerId}`)
    await writeFile(draft, JSON.stringify({ v: 1, peerId, pid: processId, addresses }), { mode: 0o600 })
    await rename(draft, this.#pathOf(peerId))
  }

  #pathOf (peerId: string): string {
    return join(this.#folder, peerId + ENDING)
  }
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
