/** What does not pass and need not, since conformance is not scored by it: each with the reason. A required scenario cannot be listed. */
import type { Expected } from './verdict.ts'

const TASKS = [
  'tasks-lifecycle', 'tasks-capability-negotiation', 'tasks-wire-fields', 'tasks-request-state-removal', 'tasks-mrtr-input', 'tasks-request-headers',
  'tasks-dispatch-and-envelope', 'tasks-required-task-error', 'tasks-mrtr-composition'
]

export const EXPECTED: readonly Expected[] = [
  ...TASKS.map((scenario): Expected => ({ revision: '2026-07-28', scenario, legs: ['direct'], what: 'fails', why: "the SDK's servers know no tasks: agents of the mesh do" })),
  {
    revision: '2026-07-28', scenario: 'tasks-status-notifications', legs: ['direct', 'mesh'], what: 'is empty', why: 'this release of the suite looks at nothing here'
  },
  {
    revision: '2025-11-25', scenario: 'server-sse-polling', legs: ['direct', 'mesh'], what: 'is empty', why: 'streams are not resumed: its checks are recommendations, and warn'
  }
]
