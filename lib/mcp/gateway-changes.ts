/** Tells clients of a gateway that its lists have changed: at once, then not more often than they need to know. */
import type { Server } from '@modelcontextprotocol/server'
import type { Clock } from '../base/clock.ts'
import type { GatewayOptions } from './gateway.ts'
import { asError } from './gateway-client.ts'
import type { Kind } from './serve-listen.ts'
import type { GatewayView } from './view.ts'

/** Shortest time between two announcements of changed lists, in milliseconds: peers come in crowds. */
export const LIST_CHANGED_MS_MIN = 100

type Seen = Readonly<Record<Kind, readonly unknown[]>>

/**
 * Calls `tell` when lists have changed: at once, then at most every LIST_CHANGED_MS_MIN.
 *
 * @param isReady whether somebody listens; what changes meanwhile is told by the next `check`
 */
export function announceChanges (view: GatewayView, clock: Clock, isReady: () => boolean, tell: (kinds: ReadonlySet<Kind>) => void): { check: () => void, stop: () => void } {
  let told = see(view)
  let isOver = false
  let cancel: (() => void) | undefined
  const check = (): void => {
    if (isOver || cancel !== undefined || !isReady()) return
    const seen = see(view)
    const kinds = new Set((Object.keys(seen) as Kind[]).filter(kind => seen[kind].some((list, index) => list !== told[kind][index])))
    if (kinds.size === 0) return
    told = seen
    tell(kinds)
    cancel = clock.after(LIST_CHANGED_MS_MIN, () => {
      cancel = undefined
      check()
    })
  }
  const forget = view.onChange(check)
  return {
    check,
    stop () {
      isOver = true
      forget()
      cancel?.()
    }
  }
}

/** Lists in which nothing has changed are the same arrays. */
function see (view: GatewayView): Seen {
  return { tools: [view.tools()], resources: [view.resources(), view.resourceTemplates()], prompts: [view.prompts()] }
}

/** Tells the client of a connected server. */
export function tellChanged (server: Server, kinds: ReadonlySet<Kind>, { report }: GatewayOptions): void {
  const tellings = [
    ...kinds.has('tools') ? [server.sendToolListChanged()] : [],
    ...kinds.has('resources') ? [server.sendResourceListChanged()] : [],
    ...kinds.has('prompts') ? [server.sendPromptListChanged()] : []
  ]
  for (const telling of tellings) telling.catch((error: unknown) => { report?.(asError(error)) })
}
