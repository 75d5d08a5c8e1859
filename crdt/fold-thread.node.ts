/** The thread of aside.node.ts: folds once, answers, and ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '../lib/base/error.ts'
import { fold } from './fold.ts'
import { splitParts, type Answer, type Parts } from './parts.ts'

const { hasSnapshot, ...joined } = workerData as Parts & { readonly hasSnapshot: boolean }
const parts = splitParts(joined)
let answer: Answer
try {
  // A copy, whose buffer holds nothing else and so can be handed over.
  answer = { snapshot: new Uint8Array(fold({ snapshot: hasSnapshot ? parts[0] : undefined, updates: hasSnapshot ? parts.slice(1) : parts })) }
} catch (error) {
  answer = { failure: messageOf(error) }
}
parentPort?.postMessage(answer, 'snapshot' in answer ? [answer.snapshot.buffer] : [])
