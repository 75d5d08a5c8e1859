/**
 * Cuts the power of a file system under a writer: ext4 on a loop file; every thread of the writer stopped, so that no acknowledgement
 * is under way; the kernel's own shutdown of the file system, which drops all that was not flushed; then mounted anew and looked at.
 * A bare loop of write and fdatasync is the control: where that loses something, the rig is wrong, not the log.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../../lib/base/random.ts'
import { runAgain } from '../../support/again.ts'
import { findProgram } from '../../support/needs.ts'
import { startWriter } from './child.ts'
import { judgeBare, judgeFolder } from './folder.ts'
import type { Proof } from './kill.ts'

const IMAGE_BYTES = 128 * 2 ** 20
const LIFE_MS_MAX = 250
/** One cut of this many is the control's. */
const CONTROL_EVERY = 5
const CUTS_PER_FOLDER = 10
/** Set where the mounts are the program's own. */
const OWN_MOUNTS = 'MCP_SWARM_TEST_OWN_MOUNTS'
/** FS_IOC_SHUTDOWN, and its way that flushes nothing: Linux, include/uapi/linux/fs.h. */
const SHUTDOWN = 0x8004587d
const NO_FLUSH = 2

/** What is missing here for the run, in words; undefined if it can be run. */
export function powerLacks (): string | undefined {
  if (process.platform !== 'linux') return 'Linux'
  if (process.getuid?.() !== 0) return 'root'
  for (const name of ['mkfs.ext4', 'mount', 'umount', 'unshare']) if (findProgram(name) === undefined) return name
  if (shutdownCommand('/') === undefined) return 'python3 or perl, for one system call'
  return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' }).status === 0 ? undefined : 'the right to mount'
}

/**
 * Runs the program once more where no other process sees what it mounts; to be called before all else. Whoever makes a namespace
 * copies the mounts that it sees, and while one copy is left a file system stays: mounted anew, it would be the one that was shut down.
 */
export function enterOwnMounts (): void {
  if (process.env[OWN_MOUNTS] === undefined && powerLacks() === undefined) runAgain(OWN_MOUNTS, ['--mount'])
}

function shutdownCommand (folder: string): [string, string[]] | undefined {
  if (findProgram('python3') !== undefined) return ['python3', ['-c', `import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), ${SHUTDOWN}, struct.pack('I', ${NO_FLUSH}))`, folder]]
  if (findProgram('perl') !== undefined) return ['perl', ['-e', `opendir(my $d, $ARGV[0]) or die $!; open(my $f, '<', $ARGV[0]) or die $!; ioctl($f, ${SHUTDOWN}, pack('I', ${NO_FLUSH})) // die $!`, folder]]
  return undefined
}

export async function provePower (count: number, seed: number): Promise<Proof> {
  const proof: Proof = { passed: 0, failed: 0, skipped: 0, notes: [] }
  const lacks = powerLacks()
  if (lacks !== undefined) {
    proof.skipped = count
    proof.notes.push(`needs ${lacks}: ${count} power cuts skipped`)
    return proof
  }
  const random = seededRandom(seed)
  const root = mkdtempSync(join(tmpdir(), 'swarm-power-'))
  const [image, mounted] = [join(root, 'image'), join(root, 'mounted')]
  mkdirSync(mounted)
  let [controls, acknowledgedAll, mountedNow] = [0, 0, false]
  const mount = (): void => { execFileSync('mount', ['-o', 'loop', image, mounted]); mountedNow = true }
  const unmount = (): void => { execFileSync('umount', [mounted]); mountedNow = false }
  try {
    for (let index = 0; index < count; index++) {
      if (index % CUTS_PER_FOLDER === 0) {
        writeFileSync(image, '')
        truncateSync(image, IMAGE_BYTES)
        execFileSync('mkfs.ext4', ['-q', '-F', image])
      }
      mount()
      chmodSync(mounted, 0o700)
      const isControl = index % CONTROL_EVERY === CONTROL_EVERY - 1
      const folder = join(mounted, 'store')
      const writer = isControl ? startWriter('--bare', mounted) : startWriter(folder)
      if (isControl) rmSync(join(mounted, 'bare'), { force: true })
      await writer.begun
      await new Promise(resolve => { setTimeout(resolve, random.next() * LIFE_MS_MAX) })
      await stop(writer.process.pid as number)
      const [program, args] = shutdownCommand(mounted) as [string, string[]]
      execFileSync(program, args)
      writer.process.kill('SIGKILL')
      const acknowledged = await writer.ended
      for (const sequence of acknowledged.values()) acknowledgedAll += sequence
      unmount()
      mount()
      const verdict = isControl ? judgeBare(mounted, acknowledged) : await judgeFolder(folder, acknowledged)
      unmount()
      if (isControl) controls++
      if (verdict.kind === 'whole') proof.passed++
      else {
        proof.failed++
        proof.notes.push(`cut ${index}${isControl ? ' (control)' : ''}: ${verdict.kind}, ${verdict.how}`)
      }
    }
  } finally {
    if (mountedNow) unmount()
    rmSync(root, { recursive: true, force: true })
  }
  proof.notes.push(`${count} power cuts, ${controls} of them of the bare control, seed ${seed}; acknowledged sequences at the cuts add up to ${acknowledgedAll}`)
  return proof
}

/** Stops every thread, and waits until each has. */
async function stop (pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  for (let tries = 0; tries < 10_000; tries++) {
    const states = readdirSync(`/proc/${pid}/task`).map(task => /\) (\S)/.exec(readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8'))?.[1])
    if (states.every(state => state === 'T')) return
    await new Promise(resolve => { setImmediate(resolve) })
  }
  throw new Error(`process ${pid} does not stop`)
}
