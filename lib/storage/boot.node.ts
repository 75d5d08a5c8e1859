/** Which start of the machine this is: Linux counts them by a random id, in containers too; elsewhere the time of the start tells. */
import { readFile } from 'node:fs/promises'
import { uptime } from 'node:os'
import { systemClock } from '../base/clock.ts'
import { systemCode } from '../identity/disk.node.ts'

const LINUX_BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** Largest difference, in milliseconds, at which two times of a start may be taken for one: clocks are set, and some count whole seconds. */
const START_MS = 10_000

/**
 * Two that are equal are of one start. One start may seem to be another after the clock was set, which does no harm.
 *
 * @param path where Linux tells it; for tests
 */
export async function readBoot (path = LINUX_BOOT_ID): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return `started ${Math.round((systemClock.wallMs() - uptime() * 1_000) / START_MS)}`
  }
}
