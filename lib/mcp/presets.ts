/** What a role brings with it: `processor` works on data it is handed, `coordinator` hands a task to other agents. */
import { coordinateTask, type Coordination } from './coordinate.ts'
import { processData } from './process.ts'
import type { Tool } from './tool.ts'

export type { Coordination, CoordinationTarget } from './coordinate.ts'

/** @param coordination asked at each call, since an agent is hosted after it is made */
export function presetTools (role: string | undefined, coordination: () => Coordination | undefined): Tool[] {
  if (role === 'processor') return [processData()]
  if (role === 'coordinator') return [coordinateTask(coordination)]
  return []
}
