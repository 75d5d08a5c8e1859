/**
 * Small disks of a test's own: to be filled, made read-only and taken away.
 *
 * A test file that imports this first runs once more, as root of a user namespace of its own, and in that process alone: there it may
 * mount what nobody else sees, and yet it has no more rights to files than their modes say, whoever runs it. Where a user may
 * have no namespaces the file runs as it is: see `needs(test, 'mounts')`.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runAgain } from './again.ts'
import { INSIDE } from './needs.ts'

/** Root as it is, but for what makes modes mean nothing to it. */
const ENTER = ['-rm', 'setpriv', '--bounding-set=-dac_override,-dac_read_search', '--']

if (process.env[INSIDE] === undefined && process.platform === 'linux') {
  const isGiven = spawnSync('unshare', [...ENTER, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' }).status === 0
  if (isGiven) runAgain(INSIDE, ENTER)
}

/** A disk in memory, with a folder `room` that nobody else may enter. */
export class Disk {
  readonly #folder: string

  /** @param folder a path where nothing is yet */
  constructor (folder: string, bytes: number) {
    this.#folder = folder
    mkdirSync(folder, { mode: 0o700 })
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=700`, 'tmpfs', folder])
    mkdirSync(this.room, { mode: 0o700 })
  }

  get room (): string {
    return join(this.#folder, 'room')
  }

  get freeBytes (): number {
    const { bavail, bsize } = statfsSync(this.#folder)
    return bavail * bsize
  }

  /** Leaves so many bytes free. */
  fill (leftBytes = 0): void {
    writeFileSync(this.#ballast, new Uint8Array(Math.max(0, this.freeBytes - leftBytes)))
  }

  /** There is room again. */
  empty (): void {
    rmSync(this.#ballast, { force: true })
  }

  /** Only while nothing on it is open for writing. */
  remount (how: 'ro' | 'rw'): void {
    execFileSync('mount', ['-o', `remount,${how}`, this.#folder])
  }

  end (): void {
    execFileSync('umount', ['-l', this.#folder])
    rmSync(this.#folder, { recursive: true })
  }

  get #ballast (): string {
    return join(this.#folder, 'ballast')
  }
}
