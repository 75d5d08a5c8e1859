import type { CallToolResult } from 'mcp-swarm'
import { EXIT, UsageError } from './failure.ts'
import { readAll } from './lines.ts'
import { inquire, next } from './look.ts'
import type { CallProgress } from './request.ts'
import { findPlace, type CommonOptions } from './settings.ts'
import { askedToEnd } from './signal.ts'
import type { Terminal } from './terminal.ts'
import { plainLine, plainText } from './text.ts'

export interface CallOptions extends CommonOptions {
  readonly agent?: string
  readonly peer?: string
  /** Seconds. */
  readonly timeout?: number
}

/** @returns the exit code: 1 when the tool says that it failed */
export async function call (tool: string, given: string | undefined, options: CallOptions, terminal: Terminal): Promise<number> {
  const values = readArguments(given === '-' ? await readAll(process.stdin) : given ?? '{}')
  const place = findPlace(options)
  const { agent, peer, timeout } = options
  const result = await inquire(place, { do: 'call', tool, arguments: values, agent, peer, timeoutMs: timeout === undefined ? undefined : timeout * 1_000 }, {
    signal: askedToEnd(),
    progress: progress => { terminal.note(terminal.paint('dim', progressLine(progress))) }
  }) as CallToolResult
  if (terminal.json) terminal.print(JSON.stringify(result))
  else for (const text of textsOf(result)) terminal.print(terminal.isTerminal ? plainText(text) : text)
  if (result.isError !== true) return EXIT.ok
  if (!terminal.json) next(terminal, `mcp-swarm tools ${plainLine(tool)} --json${place.flags} shows what it takes`)
  return EXIT.failed
}

function readArguments (text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`the arguments are not JSON: ${(error as Error).message}\nWrite them as '{"name": "value"}', or - to read them from standard input.`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UsageError('the arguments are a JSON object, such as \'{"name": "value"}\'')
  return value as Record<string, unknown>
}

function progressLine ({ progress, total, message }: CallProgress): string {
  const share = total === undefined ? String(progress) : `${progress}/${total}`
  return message === undefined ? share : `${share} ${plainLine(message)}`
}

/** What a person reads of a result: its texts; of anything else, what it is. */
function textsOf ({ content, structuredContent }: CallToolResult): string[] {
  if (content.length === 0) return structuredContent === undefined ? [] : [JSON.stringify(structuredContent, null, 2)]
  return content.map(part => {
    switch (part.type) {
      case 'text': return part.text
      case 'image':
      case 'audio': return `[${part.type} ${part.mimeType}, ${Math.floor(part.data.length * 3 / 4)} bytes: --json prints it]`
      case 'resource_link': return `[resource ${part.uri}]`
      case 'resource': return 'text' in part.resource ? part.resource.text : `[resource ${part.resource.uri}: --json prints it]`
      default: return '[content of an unknown kind: --json prints it]'
    }
  })
}
