/**
 * MCP clients, and where each keeps its servers.
 *
 * Sources, each the client's own documentation unless said otherwise: Claude Desktop https://modelcontextprotocol.io/docs/develop/connect-local-servers
 * (it names no folder for Linux: that one follows the builds made for it), Claude Code https://code.claude.com/docs/en/mcp and
 * …/en/settings (CLAUDE_CONFIG_DIR), Cursor https://cursor.com/docs/mcp, VS Code
 * https://code.visualstudio.com/docs/agents/reference/mcp-configuration and …/docs/configure/profiles (its default profile).
 */
import { posix, win32 } from 'node:path'

export const CLIENTS = ['claude', 'claude-code', 'cursor', 'vscode'] as const

export type Client = typeof CLIENTS[number]

/** The machine, as a client sees it. */
export interface Machine {
  readonly platform: NodeJS.Platform
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** The current folder. */
  readonly folder: string
}

/** A config file of a client. */
export interface Target {
  /** What people call the client. */
  readonly title: string
  readonly path: string
  /** For one project, or for all that the user does. */
  readonly scope: 'project' | 'user'
  /** The member that holds the servers. */
  readonly member: 'mcpServers' | 'servers'
  /** Whether an entry names its transport. */
  readonly isTyped: boolean
  /** What starts npx: Claude Code on Windows starts no command file by itself. */
  readonly npx: readonly [string, ...string[]]
  /** One of these is there where the client was ever started; of a project's file none is asked for. */
  readonly signs: readonly string[]
  /** What the user does next. */
  readonly after: string
}

/** @param user the user's file rather than the project's; Claude Desktop has no other */
export function targetOf (client: Client, user: boolean, machine: Machine): Target {
  const needsShell = client === 'claude-code' && machine.platform === 'win32'
  return { ...fileOf(client, user, machine), npx: needsShell ? ['cmd', '/c', 'npx'] : ['npx'] }
}

function fileOf (client: Client, user: boolean, { platform, env, home, folder }: Machine): Omit<Target, 'npx'> {
  const paths = platform === 'win32' ? win32 : posix
  const join = (...names: string[]): string => paths.join(...names)
  const absolute = (path: string | undefined, fallback: string): string => path !== undefined && paths.isAbsolute(path) ? path : fallback
  const settings = platform === 'win32'
    ? absolute(env['APPDATA'], join(home, 'AppData', 'Roaming'))
    : platform === 'darwin' ? join(home, 'Library', 'Application Support') : absolute(env['XDG_CONFIG_HOME'], join(home, '.config'))
  const ofUser = (path: string): Pick<Target, 'path' | 'scope' | 'signs'> => ({ path, scope: 'user', signs: [paths.dirname(path)] })
  const ofProject = (path: string): Pick<Target, 'path' | 'scope' | 'signs'> => ({ path, scope: 'project', signs: [] })
  switch (client) {
    case 'claude': return {
      title: 'Claude Desktop', member: 'mcpServers', isTyped: false, after: 'restart Claude Desktop', ...ofUser(join(settings, 'Claude', 'claude_desktop_config.json'))
    }
    case 'claude-code': {
      const known = { title: 'Claude Code', member: 'mcpServers', isTyped: false } as const
      if (!user) return { ...known, after: 'start claude in this folder and approve the server', ...ofProject(join(folder, '.mcp.json')) }
      const path = join(absolute(env['CLAUDE_CONFIG_DIR'], home), '.claude.json')
      return { ...known, after: 'start claude anew', path, scope: 'user', signs: [path, absolute(env['CLAUDE_CONFIG_DIR'], join(home, '.claude'))] }
    }
    case 'cursor': return {
      title: 'Cursor', member: 'mcpServers', isTyped: false, after: 'restart Cursor', ...user ? ofUser(join(home, '.cursor', 'mcp.json')) : ofProject(join(folder, '.cursor', 'mcp.json'))
    }
    case 'vscode': return {
      title: 'VS Code', member: 'servers', isTyped: true, after: 'start the server in VS Code (MCP: List Servers)',
      ...user ? ofUser(join(settings, 'Code', 'User', 'mcp.json')) : ofProject(join(folder, '.vscode', 'mcp.json'))
    }
  }
}
