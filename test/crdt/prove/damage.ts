/**
 * Damages copies of a real data folder, one fault each, and looks whether opening gives exactly what was acknowledged, or says that
 * something is damaged.
 */
import { chmodSync, cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom, type Random } from '../../../lib/base/random.ts'
import { Judge, startWriter } from './child.ts'
import { judgeFolder, type Acknowledged } from './folder.ts'
import type { Proof } from './kill.ts'

const EDITS = [900, 400, 300]

const FAULTS: Readonly<Record<string, (bytes: Buffer, random: Random) => Buffer>> = {
  flip (bytes, random) {
    const bit = Math.floor(random.next() * bytes.byteLength * 8)
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ 1 << (bit & 7)
    return bytes
  },
  truncate: (bytes, random) => bytes.subarray(0, Math.floor(random.next() * bytes.byteLength)),
  zero (bytes, random) {
    const size = random.next() < 0.5 ? 512 : 4_096
    const at = Math.floor(random.next() * bytes.byteLength / size) * size
    return bytes.fill(0, at, Math.min(at + size, bytes.byteLength))
  },
  swap (bytes, random) {
    const size = random.next() < 0.5 ? 512 : 4_096
    const [one, two] = [0, 1].map(() => Math.floor(random.next() * bytes.byteLength / size) * size) as [number, number]
    const kept = Buffer.from(bytes.subarray(one, one + size))
    bytes.copyWithin(one, two, two + size)
    kept.copy(bytes, two)
    return bytes
  }
}

/** @param isWitnessed false to try what happens without: then some damage goes unnoticed, which shows that this run can fail */
export async function proveDamage (count: number, seed: number, isWitnessed = true): Promise<Proof> {
  const random = seededRandom(seed)
  const root = mkdtempSync(join(tmpdir(), 'swarm-damage-'))
  const proof: Proof = { passed: 0, failed: 0, skipped: 0, notes: [] }
  const counts = new Map<string, number>()
  const judge = new Judge()
  try {
    const { folder, acknowledged } = await fill(join(root, 'whole'))
    const files = readdirSync(folder).filter(name => !/^(LOCK|LOG|LOG\.old)$/.test(name) && (isWitnessed || name.endsWith('.log')))
    for (let index = 0; index < count; index++) {
      const copy = join(root, 'copy')
      rmSync(copy, { recursive: true, force: true })
      copyPrivate(folder, copy)
      const name = files[Math.floor(random.next() * files.length)] as string
      const fault = Object.keys(FAULTS)[Math.floor(random.next() * 4)] as keyof typeof FAULTS
      const before = readFileSync(join(copy, name))
      if (!isWitnessed) rmSync(join(copy, 'witness'))
      const bytes = FAULTS[fault]?.(Buffer.from(before), random) ?? before
      writeFileSync(join(copy, name), bytes)
      const verdict = await judge.ask(copy, acknowledged)
      const what = `${fault} in ${name.replace(/\d+/, 'N')}`
      if (verdict.kind === 'failed') {
        proof.failed++
        proof.notes.push(`case ${index}, seed ${seed}: ${what}: ${verdict.how}`)
      } else proof.passed++
      const outcome = bytes.equals(before) ? 'nothing changed' : verdict.kind === 'told' ? `told: ${verdict.how}` : verdict.kind === 'failed' ? `failed: ${verdict.how.slice(0, 90)}` : verdict.kind
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    }
  } finally {
    judge.end()
    rmSync(root, { recursive: true, force: true })
  }
  proof.notes.push(`${count} cases, seed ${seed}: ${[...counts].sort((left, right) => right[1] - left[1]).map(([outcome, times]) => `${times} ${outcome}`).join('; ')}`)
  return proof
}

/** A folder with tables, a log, snapshots and records in it, whose writer was killed. */
async function fill (folder: string): Promise<{ folder: string, acknowledged: Acknowledged }> {
  let acknowledged: Acknowledged = new Map()
  for (const edits of EDITS) acknowledged = await startWriter(folder, String(edits)).ended
  const verdict = await judgeFolder(cpAside(folder), acknowledged)
  if (verdict.kind !== 'whole') throw new Error(`the undamaged folder is ${verdict.kind}: ${verdict.how}`)
  return { folder, acknowledged }
}

function cpAside (folder: string): string {
  const copy = `${folder}-checked`
  copyPrivate(folder, copy)
  return copy
}

/** A copy that nobody else may enter, as the original: Node 22 and later give copied folders the usual mode. */
function copyPrivate (folder: string, copy: string): void {
  cpSync(folder, copy, { recursive: true })
  for (const entry of ['.', ...readdirSync(copy, { recursive: true, encoding: 'utf8' })]) {
    const path = join(copy, entry)
    if (statSync(path).isDirectory()) chmodSync(path, 0o700)
  }
}
