/** What the process was started with; empty in a page. */
export const environment: Readonly<Record<string, string | undefined>> = {}

/** Whose logs are asked for, as `DEBUG` has it; in a page `localStorage.debug`. */
export function debugNames (): string {
  try {
    return localStorage.getItem('debug') ?? ''
  } catch {
    return '' // a page that may keep nothing, or a worker
  }
}

/** The id of this process; 0 in a page. */
export const processId = 0

/** A name people would recognise this peer by. */
export function defaultName (): string {
  return location.host === '' ? 'page' : `page@${location.host}`
}

/** Whether a process of that id runs: a page sees none. */
export function isRunning (_processId: number): boolean {
  return false
}

/** Whether this runs in a page: nobody can dial it, and it has no disk of its own. */
export const isPage = true as boolean
