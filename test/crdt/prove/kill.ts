/** Kills a writer with -9 at random instants, again and again in one folder, and looks each time whether all is there. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../../lib/base/random.ts'
import { startWriter } from './child.ts'
import { judgeFolder } from './folder.ts'

/** Longest time that a writer is let live after its first acknowledgement, in milliseconds. */
const LIFE_MS_MAX = 250
/** Kills in one folder before a new one is begun. */
const KILLS_PER_FOLDER = 20

export interface Proof { passed: number, failed: number, skipped: number, readonly notes: string[] }

export async function proveKill (count: number, seed: number): Promise<Proof> {
  const random = seededRandom(seed)
  const proof: Proof = { passed: 0, failed: 0, skipped: 0, notes: [] }
  let [folder, acknowledgedAll] = ['', 0]
  for (let index = 0; index < count; index++) {
    if (index % KILLS_PER_FOLDER === 0) {
      if (folder !== '') rmSync(folder, { recursive: true, force: true })
      folder = mkdtempSync(join(tmpdir(), 'swarm-kill-'))
    }
    const writer = startWriter(folder)
    await writer.begun
    await new Promise(resolve => { setTimeout(resolve, random.next() * LIFE_MS_MAX) })
    writer.process.kill('SIGKILL')
    const acknowledged = await writer.ended
    for (const sequence of acknowledged.values()) acknowledgedAll += sequence
    const verdict = await judgeFolder(folder, acknowledged)
    if (verdict.kind === 'whole') proof.passed++
    else {
      proof.failed++
      proof.notes.push(`kill ${index}: ${verdict.kind}, ${verdict.how}; kept in ${folder}`)
      folder = ''
    }
  }
  if (folder !== '') rmSync(folder, { recursive: true, force: true })
  proof.notes.push(`${count} kills, seed ${seed}; acknowledged sequences at the kills add up to ${acknowledgedAll}`)
  return proof
}
