/** The thread of aside.node.ts: folds or merges once, answers, and ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '../lib/base/error.ts'
import type { Answer, Task } from './aside.node.ts'
import { fold } from './fold.ts'
import { mergeWhole } from './merge.ts'
import { splitParts } from './parts.ts'

const task = workerData as Task
const [first = new Uint8Array(), ...rest] = splitParts(task)
let answer: Answer
try {
  // Copies, whose buffers hold nothing else and so can be handed over.
  if (task.kind === 'merge') {
    const merged = mergeWhole({ ours: first, theirs: rest })
    answer = { merged: { ...merged, state: new Uint8Array(merged.state) } }
  } else answer = { snapshot: new Uint8Array(fold({ snapshot: task.hasSnapshot ? first : undefined, updates: task.hasSnapshot ? rest : splitParts(task) })) }
} catch (error) {
  answer = { failure: messageOf(error) }
}
parentPort?.postMessage(answer, 'snapshot' in answer ? [answer.snapshot.buffer] : 'merged' in answer ? [answer.merged.state, ...answer.merged.parts].map(({ buffer }) => buffer as ArrayBuffer) : [])
