/**
 * What stands for something else in a server's entry: `${NAME}` and what clients have beside it. Claude Code has `${NAME}` and
 * `${NAME:-default}` (https://code.claude.com/docs/en/mcp), Cursor `${env:NAME}`, `${userHome}`, `${workspaceFolder}`,
 * `${workspaceFolderBasename}`, `${pathSeparator}` and `${/}` (https://cursor.com/docs/mcp), VS Code those and `${input:id}`
 * (https://code.visualstudio.com/docs/reference/variables-reference).
 */
import type { Place } from './place.ts'

export interface Surroundings {
  /** Where `${NAME}` looks. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** The user's home folder, for `${userHome}`. */
  readonly home?: string
  /** The folder that the file belongs to, for `${workspaceFolder}`. */
  readonly folder: string
}

/**
 * The folder that a client takes a config file to be of: the one it lies in, and of `.cursor/mcp.json` and `.vscode/mcp.json`
 * the one around that. Servers start there unless they say otherwise.
 */
export function folderOf (path: string): string {
  const separator = isWindows(path) ? /[\\/]/ : /\//
  const steps = path.split(separator)
  steps.pop()
  if (['.cursor', '.vscode'].includes(steps.at(-1) ?? '')) steps.pop()
  if (steps.length === 0) return '.'
  const folder = steps.join(isWindows(path) ? '\\' : '/')
  return folder === '' ? '/' : /^[A-Za-z]:$/.test(folder) ? `${folder}\\` : folder
}

/**
 * A text with its variables replaced; a default holds no brace, and everything that is no variable passes unchanged.
 *
 * @internal
 * @throws SwarmError CONFIG_INVALID for a variable that is not set, or that only the client knows
 */
export function substitute (place: Place, surroundings: Surroundings): string {
  const text = place.text()
  if (/\$\{[A-Za-z_]\w*:-[^{}]*\$\{/.test(text)) throw place.refuse('a default holds no variable: write one or the other')
  return text.replace(/\$\{([^{}]*)\}/g, (whole, inner: string) => known(inner, surroundings) ?? ofEnvironment(place, whole, inner, surroundings.env))
}

/** What both editors have under a name of their own. */
function known (name: string, { home, folder }: Surroundings): string | undefined {
  const separator = isWindows(folder) ? '\\' : '/'
  switch (name) {
    case 'workspaceFolder': return folder
    case 'workspaceFolderBasename': return folder.split(/[\\/]/).findLast(step => step !== '') ?? folder
    case 'userHome': return home
    case 'pathSeparator': case '/': return separator
    default: return undefined
  }
}

function ofEnvironment (place: Place, whole: string, inner: string, env: Surroundings['env']): string {
  const [, asked] = /^input:(.*)$/s.exec(inner) ?? []
  if (asked !== undefined) {
    const name = asked.toUpperCase().replaceAll(/\W+/g, '_').replace(/^(?=\d|$)/, '_')
    throw place.refuse(`${whole} is asked for by VS Code, and here nobody can be asked: write \${env:${name}}, and set that variable where mcp-swarm starts`)
  }
  const [, variable, fallback] = /^(?:env:)?([A-Za-z_]\w*)(?::-(.*))?$/s.exec(inner) ?? []
  if (variable === undefined) throw place.refuse(`${whole} is not a variable of the environment: write \${NAME}, \${env:NAME} or \${NAME:-default}`)
  const value = env[variable]
  if (value !== undefined && (value !== '' || fallback === undefined)) return value
  if (fallback !== undefined) return fallback
  throw place.refuse(`the variable ${variable} is not set: set it, or write \${${variable}:-default}`, { details: { variable } })
}

function isWindows (path: string): boolean {
  return /^(?:[A-Za-z]:|\\\\)/.test(path)
}
