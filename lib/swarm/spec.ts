/**
 * One server's entry, as clients write it. What would mean something else here than in its client is refused: a server is
 * not to run outside the sandbox it was given, nor without the sign-in it needs.
 */
import { messageOf } from '../base/error.ts'
import type { Place } from './place.ts'
import { substitute, type Surroundings } from './variables.ts'

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

export interface SpecOptions extends Surroundings {
  /** The variables of a file such as `.env`, for `envFile`; its path may be relative to `folder`. @throws if it cannot be read */
  readonly readEnvFile?: (path: string, folder: string) => Readonly<Record<string, string>>
}

/** How clients call the transports that can be had here. */
const COMMAND_TYPES: readonly string[] = ['stdio', 'local']
const URL_TYPES: readonly string[] = ['http', 'streamable-http', 'streamableHttp', 'remote']

/**
 * @internal
 * @throws SwarmError CONFIG_INVALID at the member that is wrong
 */
export function readSpec (place: Place, options: SpecOptions): ServerSpec {
  const members = place.members()
  for (const [name, why] of Object.entries(REFUSED)) {
    const member = members.get(name)
    if (member !== undefined && !member.isFalse) throw member.refuse(why)
  }
  const [command, url] = [members.get('command'), members.get('url')]
  if (command !== undefined && url !== undefined) throw place.refuse('has both a command and a url: keep one')
  checkType(members.get('type'), command !== undefined ? COMMAND_TYPES : url !== undefined ? URL_TYPES : undefined)
  const text = (member: Place): string => substitute(member, options)
  const texts = (member: Place | undefined): Record<string, string> | undefined =>
    member && Object.fromEntries([...member.members()].map(([key, value]) => [key, text(value)]))
  if (url !== undefined) {
    const address = text(url)
    if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) throw url.refuse(`expected an http or https url, not ${address}`)
    return clean({ url: address, headers: texts(members.get('headers')) })
  }
  if (command === undefined) throw place.refuse('needs a command or a url')
  if (text(command).trim() === '') throw command.refuse('expected a command')
  const env = { ...readEnvFile(members.get('envFile'), options), ...texts(members.get('env')) }
  return clean({
    command: text(command),
    args: members.get('args')?.list().map(text),
    env: members.has('env') || members.has('envFile') ? env : undefined,
    cwd: members.get('cwd') && text(members.get('cwd') as Place)
  })
}

/** Members that change what a server is or may, and why a server that has one is not shared. */
const REFUSED: Readonly<Record<string, string>> = {
  sandboxEnabled: 'the server would run here outside the sandbox that VS Code puts it in: share another one, or take this out knowingly',
  headersHelper: 'a command that prints headers is not run here: write them under headers, with ${NAME} for what is secret',
  oauth: 'nobody can sign in (OAuth) here: write a token under headers, as "Authorization": "Bearer ${NAME}"',
  auth: 'nobody can sign in (OAuth) here: write a token under headers, as "Authorization": "Bearer ${NAME}"'
}

function checkType (type: Place | undefined, types: readonly string[] | undefined): void {
  const named = type?.text()
  if (type === undefined || named === undefined || types?.includes(named) === true) return
  if (named === 'sse') throw type.refuse('the old SSE transport is not supported: use the streamable HTTP url of the server')
  if (![...COMMAND_TYPES, ...URL_TYPES].includes(named)) throw type.refuse(`no transport is called ${named} here: expected stdio, with a command, or http, with a url`)
  throw type.refuse(COMMAND_TYPES.includes(named) ? `${named} needs a command` : `${named} needs a url`)
}

function readEnvFile (place: Place | undefined, options: SpecOptions): Readonly<Record<string, string>> {
  if (place === undefined) return {}
  const path = substitute(place, options)
  if (options.readEnvFile === undefined) throw place.refuse('no file can be read here: write its variables under env')
  try {
    return options.readEnvFile(path, options.folder)
  } catch (cause) {
    throw place.refuse(`cannot read ${path}: ${messageOf(cause)}`, { cause })
  }
}

/** Without members that are undefined. */
function clean<Spec extends object> (spec: Spec): Spec {
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined)) as Spec
}
