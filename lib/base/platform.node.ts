import { hostname, userInfo } from 'node:os'
import { env, kill, pid } from 'node:process'

/** What the process was started with; empty in a page. */
export const environment: Readonly<Record<string, string | undefined>> = env

/** Whose logs are asked for, as `DEBUG` has it; in a page `localStorage.debug`. */
export function debugNames (): string {
  return env['DEBUG'] ?? ''
}

/** The id of this process; 0 in a page. */
export const processId: number = pid

/** A name people would recognise this peer by. */
export function defaultName (): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    return hostname() // a user id without an entry in the user database has no name
  }
}

/** Whether a process of that id runs, as far as this user may know. */
export function isRunning (processId: number): boolean {
  try {
    kill(processId, 0)
    return true
  } catch (error) {
    return (error as { code?: unknown }).code === 'EPERM'
  }
}

/** Whether this runs in a page: nobody can dial it, and it has no disk of its own. */
export const isPage = false as boolean
