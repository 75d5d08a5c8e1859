/** Folding and merging in a thread of their own, so that they keep nobody from their turn. The thread ends with its work. */
import { Worker } from 'node:worker_threads'
import { deadline, type Clock } from '../lib/base/clock.ts'
import { SwarmError, messageOf } from '../lib/base/error.ts'
import type { Fold } from './fold.ts'
import type { Merge, Merged } from './merge.ts'
import { joinParts, type Parts } from './parts.ts'

/** Longest folding or merging, in milliseconds: a thread that hangs is ended. */
export const ASIDE_MS_MAX = 120_000

/** In the package the thread runs the bundle that lies beside this one; from source the source, which it has to be taught first. */
const isSource = import.meta.url.endsWith('.ts')
const PROGRAM = new URL(isSource ? './fold-thread.node.ts' : './fold-thread.js', import.meta.url)

/** What the thread is given. Parts of a merge: ours, then theirs. */
export type Task = Parts & ({ readonly kind: 'fold', readonly hasSnapshot: boolean } | { readonly kind: 'merge' })

/** What it answers with. */
export type Answer = { readonly snapshot: Uint8Array<ArrayBuffer> } | { readonly merged: Merged } | { readonly failure: string }

/**
 * @param program what the thread runs
 * @throws SwarmError, of the fold: DOCUMENT_DAMAGED if an update is none, TIMEOUT, UNAVAILABLE if the thread ended
 */
export function foldAside (clock: Clock, program = PROGRAM): Fold {
  return async ({ snapshot, updates }) => {
    const answer = await inThread(clock, program, { kind: 'fold', hasSnapshot: snapshot !== undefined, ...await joinParts(snapshot === undefined ? updates : [snapshot, ...updates]) })
    if ('snapshot' in answer) return answer.snapshot
    throw new SwarmError('DOCUMENT_DAMAGED', 'failure' in answer ? answer.failure : 'the thread merged')
  }
}

/** @throws SwarmError, of the merge: TIMEOUT, UNAVAILABLE if the thread ended */
export function mergeAside (clock: Clock): Merge {
  return async ({ ours, theirs }) => {
    const answer = await inThread(clock, PROGRAM, { kind: 'merge', ...await joinParts([ours, ...theirs]) })
    if ('merged' in answer) return answer.merged
    throw new SwarmError('UNAVAILABLE', 'failure' in answer ? answer.failure : 'the thread folded')
  }
}

async function inThread (clock: Clock, program: URL, task: Task): Promise<Answer> {
  const worker = new Worker(isSource ? fromSource(program) : program, { eval: isSource, workerData: task, transferList: [task.bytes.buffer, task.ends.buffer] })
  const { signal, done } = deadline(clock, ASIDE_MS_MAX)
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const broke = (why: string, cause?: unknown): void => { reject(new SwarmError('UNAVAILABLE', `a thread that works on a document ended: ${why}`, { cause })) }
      worker.once('message', resolve)
      worker.once('error', error => { broke(messageOf(error), error) }) // out of memory, for example
      worker.once('exit', code => { broke(`code ${code}`) })
      signal.addEventListener('abort', () => { reject(signal.reason as Error) }, { once: true })
    })
  } finally {
    done()
    await worker.terminate()
  }
}

function fromSource ({ href }: URL): string {
  return `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(href)}) })`
}
