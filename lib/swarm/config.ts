/**
 * The config file: what MCP clients read already, plus one member they ignore.
 *
 *     { "mcpServers": { "notes": { "command": "npx", "args": ["-y", "…"] } },
 *       "swarm": { "name": "desk", "share": ["notes"], "allow": { "notes": ["role:member"] }, "pool": { "notes": "notes" } } }
 *
 * Only servers named in `share` concern us: of the others nothing but the name is read, since clients have members and
 * variables of their own. What concerns us is strict: a typing error in `allow` must not open a door.
 */
import { parseRule } from '../access/rule.ts'
import { SwarmError } from '../base/error.ts'
import { nearestNames } from '../mesh/suggest.ts'
import { readDocument, type Place } from './place.ts'

/** Most servers one file may list. */
export const SERVERS_MAX = 200

/** What starts or reaches a server, its variables replaced. */
export type ServerSpec = CommandSpec | UrlSpec

export interface CommandSpec {
  readonly command: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export interface UrlSpec {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Config {
  /** The file's path, as given: for messages. */
  readonly path: string
  /** The shared servers by name; each name in `swarm.share` has one. */
  readonly servers: Readonly<Record<string, ServerSpec>>
  /** Names of the servers in the file that are not shared. */
  readonly unshared: readonly string[]
  readonly swarm: {
    readonly name?: string
    readonly share: readonly string[]
    /** Selectors by server; a server without an entry is for every member. */
    readonly allow: Readonly<Record<string, readonly string[]>>
    readonly pool: Readonly<Record<string, string>>
  }
}

export interface ConfigOptions {
  readonly path: string
  /** Where `${VAR}` looks. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Reads a config file's text.
 *
 * @throws SwarmError CONFIG_INVALID, its message starting with `path:line:column:`, details `{ path, line, column }`
 */
export function parseConfig (text: string, options: ConfigOptions): Config {
  const document = readDocument(text, options.path).members()
  const listed = (document.get('mcpServers') ?? document.get('servers'))?.members() ?? new Map<string, Place>()
  if (listed.size > SERVERS_MAX) {
    const place = document.get('mcpServers') ?? document.get('servers')
    throw place?.refuse(`${listed.size} servers; limit ${SERVERS_MAX}`) ?? new SwarmError('CONFIG_INVALID', `${options.path}: too many servers`)
  }
  const swarm = document.get('swarm')?.members() ?? new Map<string, Place>()
  for (const [member, place] of swarm) {
    if (!MEMBERS.includes(member)) throw place.refuse(`no such setting.${suggest(member, MEMBERS)} Known are ${MEMBERS.join(', ')}`)
  }
  const known = (place: Place, name: string): string => {
    if (listed.has(name)) return name
    const names = [...listed.keys()]
    throw place.refuse(`no server is named ${name}.${suggest(name, names)} The file lists ${names.length === 0 ? 'none' : names.slice(0, 20).join(', ')}`, { details: { name } })
  }
  const share = [...new Set(swarm.get('share')?.list().map(place => known(place, place.text())))]
  const byServer = <Value>(member: string, read: (place: Place) => Value): Record<string, Value> =>
    Object.fromEntries([...swarm.get(member)?.members() ?? []].map(([name, place]) => [known(place, name), read(place)]))
  const allow = byServer('allow', place => place.list().map(readSelector))
  const pool = byServer('pool', readName)
  const name = swarm.get('name')
  return {
    path: options.path,
    servers: Object.fromEntries(share.map(name => [name, readServer(listed.get(name) as Place, options.env)])),
    unshared: [...listed.keys()].filter(name => !share.includes(name)),
    swarm: { ...(name !== undefined && { name: readName(name) }), share, allow, pool }
  }
}

/** What `swarm` may hold. */
const MEMBERS: readonly string[] = ['name', 'share', 'allow', 'pool']

function readServer (place: Place, env: ConfigOptions['env']): ServerSpec {
  const members = place.members()
  const [command, url] = [members.get('command'), members.get('url')]
  if (command !== undefined && url !== undefined) throw place.refuse('has both a command and a url: keep one')
  const text = (member: Place): string => substitute(member, env)
  const texts = (member: Place | undefined): Record<string, string> | undefined =>
    member && Object.fromEntries([...member.members()].map(([key, value]) => [key, text(value)]))
  if (url !== undefined) {
    if (members.get('type')?.text() === 'sse') throw place.refuse('the old SSE transport is not supported: use the streamable HTTP url of the server')
    const address = text(url)
    if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) throw url.refuse(`expected an http or https url, not ${address}`)
    return clean({ url: address, headers: texts(members.get('headers')) })
  }
  if (command === undefined) throw place.refuse('needs a command or a url')
  if (text(command).trim() === '') throw command.refuse('expected a command')
  return clean({
    command: text(command),
    args: members.get('args')?.list().map(text),
    env: texts(members.get('env')),
    cwd: members.get('cwd') && text(members.get('cwd') as Place)
  })
}

/** `${VAR}`, `${env:VAR}` and `${VAR:-default}`; a default holds no brace. Everything else passes unchanged. */
function substitute (place: Place, env: ConfigOptions['env']): string {
  return place.text().replace(/\$\{([^{}]*)\}/g, (whole, inner: string) => {
    const [, variable, fallback] = /^(?:env:)?([A-Za-z_]\w*)(?::-(.*))?$/s.exec(inner) ?? []
    if (variable === undefined) throw place.refuse(`${whole} is not a variable of the environment: write \${NAME}, \${env:NAME} or \${NAME:-default}`)
    const value = env[variable]
    if (value !== undefined && (value !== '' || fallback === undefined)) return value
    if (fallback !== undefined) return fallback
    throw place.refuse(`the variable ${variable} is not set: set it, or write \${${variable}:-default}`, { details: { variable } })
  })
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

/** Without members that are undefined. */
function clean<Spec extends object> (spec: Spec): Spec {
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined)) as Spec
}
