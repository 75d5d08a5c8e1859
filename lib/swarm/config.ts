/**
 * The config file: what MCP clients read already, plus one member they ignore.
 *
 *     { "mcpServers": { "notes": { "command": "npx", "args": ["-y", "…"] } },
 *       "swarm": { "name": "desk", "share": ["notes"], "allow": { "notes": ["role:member"] }, "pool": { "notes": "notes" },
 *         "session": { "notes": "caller" } } }
 *
 * Servers stand under `mcpServers` (Claude Desktop, Claude Code, Cursor), under `servers` (VS Code), or under
 * `projects.PATH.mcpServers` (Claude Code's own `~/.claude.json`). Only servers named in `share` concern us: of the others nothing but the name is read, since clients have members and
 * variables of their own. What concerns us is strict: a typing error in `allow` must not open a door.
 */
import { parseRule } from '../access/rule.ts'
import { nearestNames } from '../mesh/suggest.ts'
import { readDocument, type Place } from './place.ts'
import { readSpec, type ServerSpec, type SpecOptions } from './spec.ts'
import { folderOf } from './variables.ts'

/** Most servers one file may list, and share. */
export const SERVERS_MAX = 200

export interface Config {
  /** The file's path, as given: for messages. */
  readonly path: string
  /** The shared servers by name; each name in `swarm.share` has one. */
  readonly servers: Readonly<Record<string, ServerSpec>>
  /** Folders by server: where a command starts, unless its own `cwd` says otherwise. */
  readonly folders: Readonly<Record<string, string>>
  /** Names of the servers in the file that are not shared. */
  readonly unshared: readonly string[]
  readonly swarm: {
    readonly name?: string
    readonly share: readonly string[]
    /** Selectors by server; a server without an entry is for every member. */
    readonly allow: Readonly<Record<string, readonly string[]>>
    readonly pool: Readonly<Record<string, string>>
    /** `shared`: one connection of the server for everybody; `caller`: one for each client. Default `shared`. */
    readonly session: Readonly<Record<string, SessionMode>>
  }
}

export type SessionMode = 'shared' | 'caller'

export interface ConfigOptions extends Omit<SpecOptions, 'folder'> {
  readonly path: string
}

/**
 * Reads a config file's text.
 *
 * @throws SwarmError CONFIG_INVALID, its message starting with `path:line:column:`, details `{ path, line, column }`
 */
export function parseConfig (text: string, options: ConfigOptions): Config {
  const document = readDocument(text, options.path).members()
  const listed = serversOf(document, options.path)
  const swarm = document.get('swarm')?.members() ?? new Map<string, Place>()
  for (const [member, place] of swarm) {
    if (!MEMBERS.includes(member)) throw place.refuse(`no such setting.${suggest(member, MEMBERS)} Known are ${MEMBERS.join(', ')}`)
  }
  const known = (place: Place, name: string): string => {
    const [, ...others] = listed.get(name) ?? []
    if (others.length > 0) throw place.refuse(`several projects have a server named ${name}: give the one you mean another name`, { details: { name } })
    if (listed.has(name)) return name
    const names = [...listed.keys()]
    throw place.refuse(`no server is named ${name}.${suggest(name, names)} The file lists ${names.length === 0 ? 'none' : names.slice(0, 20).join(', ')}`, { details: { name } })
  }
  const sharing = swarm.get('share')
  const share = [...new Set(sharing?.list().map(place => known(place, place.text())))]
  if (sharing !== undefined && share.length > SERVERS_MAX) throw sharing.refuse(`shares ${share.length} servers; limit ${SERVERS_MAX}`)
  const byServer = <Value>(member: string, read: (place: Place) => Value): Record<string, Value> =>
    Object.fromEntries([...swarm.get(member)?.members() ?? []].map(([name, place]) => [known(place, name), read(place)]))
  const allow = byServer('allow', place => place.list().map(readSelector))
  const pool = byServer('pool', readName)
  const session = byServer('session', readMode)
  const name = swarm.get('name')
  const shared = share.flatMap(name => (listed.get(name) ?? []).map(entry => ({ name, ...entry })))
  return {
    path: options.path,
    servers: Object.fromEntries(shared.map(({ name, place, folder }) => [name, readSpec(place, { ...options, folder })])),
    folders: Object.fromEntries(shared.map(({ name, folder }) => [name, folder])),
    unshared: [...listed.keys()].filter(name => !share.includes(name)),
    swarm: { ...(name !== undefined && { name: readName(name) }), share, allow, pool, session }
  }
}

/** What `swarm` may hold. */
const MEMBERS: readonly string[] = ['name', 'share', 'allow', 'pool', 'session']

const MODES: readonly SessionMode[] = ['shared', 'caller']

interface Entry {
  readonly place: Place
  /** The folder it belongs to. */
  readonly folder: string
}

/** Every server of the file by name. A name of the whole file hides those of projects, of which several may have one. */
function serversOf (document: ReadonlyMap<string, Place>, path: string): Map<string, readonly Entry[]> {
  const listed = new Map<string, Entry[]>()
  for (const [folder, project] of document.get('projects')?.entries ?? []) {
    for (const [name, place] of new Map(project.entries).get('mcpServers')?.entries ?? []) {
      listed.set(name, [...listed.get(name) ?? [], { place, folder }])
    }
  }
  const servers = document.get('mcpServers') ?? document.get('servers')
  for (const [name, place] of servers?.members() ?? []) listed.set(name, [{ place, folder: folderOf(path) }])
  const count = servers?.members().size ?? 0
  if (servers !== undefined && count > SERVERS_MAX) throw servers.refuse(`${count} servers; limit ${SERVERS_MAX}`)
  return listed
}

function readMode (place: Place): SessionMode {
  const mode = MODES.find(mode => mode === place.text())
  if (mode === undefined) throw place.refuse(`expected shared or caller, not ${JSON.stringify(place.text())}.${suggest(place.text(), MODES)}`)
  return mode
}

function readSelector (place: Place): string {
  const selector = place.text()
  try {
    parseRule(selector)
  } catch (cause) {
    throw place.refuse(cause instanceof Error ? cause.message : String(cause), { cause })
  }
  return selector
}

function readName (place: Place): string {
  const name = place.text()
  if (name.trim() === '' || name.length > 64 || /\p{C}/u.test(name)) throw place.refuse('expected a name of 1 to 64 printable characters')
  return name
}

function suggest (name: string, names: readonly string[]): string {
  const near = nearestNames(name, names)
  return near.length === 0 ? '' : ` Did you mean ${near.join(' or ')}?`
}
