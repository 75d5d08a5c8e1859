/** Tests that need more than Node: they say so, and are counted as skipped where it is missing. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Callback, Test } from 'uvu'

/** Set where the present process may mount disks: see disk.ts. */
export const INSIDE = 'MCP_SWARM_TEST_NAMESPACE'

const HELD = {
  chromium: () => findProgram('chromium', 'chromium-browser', 'google-chrome'),
  'nats-server': () => findProgram('nats-server'),
  ip: () => findProgram('ip'),
  unshare: () => findProgram('unshare'),
  nsenter: () => findProgram('nsenter'),
  nft: () => findProgram('nft'),
  namespaces: () => canUnshare() ? '/proc' : undefined,
  mounts: () => process.env[INSIDE] === undefined ? undefined : '/',
  root: () => process.getuid?.() === 0 ? '/' : undefined,
  linux: () => process.platform === 'linux' ? '/proc' : undefined
}

export type Need = keyof typeof HELD

/**
 * The suite itself where everything needed is there; otherwise its `skip`, after a line that the runner repeats.
 * Use: `needs(test, 'chromium')('a page joins', async () => …)`.
 */
export function needs<Context> (test: Test<Context>, ...all: readonly Need[]): (name: string, run: Callback<Context>) => void {
  const missing = lacking(...all)
  if (missing.length === 0) return test
  console.log(`\nneeds ${missing.join(' and ')}: tests skipped`)
  return (name, run) => { test.skip(name, run) }
}

/** What of these is missing here. */
export function lacking (...all: readonly Need[]): Need[] {
  return all.filter(need => HELD[need]() === undefined)
}

/** Where a program lies, or undefined. */
export function findProgram (...names: readonly string[]): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of names) {
      if (isProgram(join(folder, name))) return join(folder, name)
    }
  }
  return undefined
}

/** Whether this user may have networks of their own, with what joins them. */
function canUnshare (): boolean {
  const line = 'mount -t tmpfs tmpfs /run && ip link add br0 type bridge && ip netns add h0 && ip link add h0e0 type veth peer name eth0 netns h0'
  return spawnSync('unshare', ['-rnmpf', '--kill-child', 'sh', '-c', line], { stdio: 'ignore' }).status === 0
}

function isProgram (path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
