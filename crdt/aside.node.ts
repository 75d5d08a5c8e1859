/** Folding in a thread of its own, so that it keeps nobody from their turn. The thread ends with its work. */
import { Worker } from 'node:worker_threads'
import { deadline, type Clock } from '../lib/base/clock.ts'
import { SwarmError } from '../lib/base/error.ts'
import type { Fold, Folding } from './fold.ts'
import { joinParts, type Answer } from './parts.ts'

/** Longest folding, in milliseconds: a thread that hangs is ended. */
export const FOLD_MS_MAX = 120_000

/** In the package the thread runs the bundle that lies beside this one; from source the source, which it has to be taught first. */
const isSource = import.meta.url.endsWith('.ts')
const PROGRAM = new URL(isSource ? './fold-thread.node.ts' : './fold-thread.js', import.meta.url)
const FROM_SOURCE = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(PROGRAM.href)}) })`

export function foldAside (clock: Clock): Fold {
  return async folding => await foldInThread(clock, folding)
}

async function foldInThread (clock: Clock, { snapshot, updates }: Folding): Promise<Uint8Array> {
  const { bytes, ends } = await joinParts(snapshot === undefined ? updates : [snapshot, ...updates])
  const worker = new Worker(isSource ? FROM_SOURCE : PROGRAM, { eval: isSource, workerData: { bytes, ends, hasSnapshot: snapshot !== undefined }, transferList: [bytes.buffer, ends.buffer] })
  const { signal, done } = deadline(clock, FOLD_MS_MAX)
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', code => { reject(new Error(`the thread that folds ended with ${code}`)) })
      signal.addEventListener('abort', () => { reject(signal.reason as Error) }, { once: true })
    })
    if ('failure' in answer) throw new SwarmError('DOCUMENT_DAMAGED', answer.failure)
    return answer.snapshot
  } finally {
    done()
    await worker.terminate()
  }
}
