/** The `doc` commands: shared documents from the shell, as JSON. */
import { SwarmError, type Json } from 'mcp-swarm'
import type { Got, Put } from './document.ts'
import { EXIT, UsageError } from './failure.ts'
import { readAll } from './lines.ts'
import { inquire, next } from './look.ts'
import type { DocumentQuestion } from './request.ts'
import { findPlace, quote, type CommonOptions } from './settings.ts'
import { askedToEnd } from './signal.ts'
import type { Terminal } from './terminal.ts'
import { plainLine, plainText } from './text.ts'

/** @returns the exit code: 1 where nothing stands */
export async function docGet (name: string, path: string | undefined, options: CommonOptions, terminal: Terminal): Promise<number> {
  const place = findPlace(options)
  const { found, value } = await inquire(place, { do: 'doc-get', name, path: path ?? '' }, { signal: askedToEnd() }) as Got
  if (!found) {
    if (terminal.json) terminal.print('null')
    else terminal.note(`Nothing stands at ${JSON.stringify(path ?? '')} in document ${JSON.stringify(name)}.`)
    return EXIT.failed
  }
  terminal.print(shown(value, terminal))
  return EXIT.ok
}

export async function docSet (name: string, path: string, given: string | undefined, options: CommonOptions & { delete?: boolean }, terminal: Terminal): Promise<void> {
  if ((given === undefined) !== (options.delete === true)) throw new UsageError('doc set takes a value as JSON, or --delete and no value')
  const value = given === undefined ? undefined : readValue(given === '-' ? await readAll(process.stdin) : given)
  const place = findPlace(options)
  const question: DocumentQuestion = { do: 'doc-set', name, path, ...value === undefined ? {} : { value } }
  const put = await inquire(place, question, { signal: askedToEnd() }) as Put
  if (terminal.json) return terminal.print(JSON.stringify(put))
  terminal.note(put.synced ? 'On disk here, and at another peer.' : 'On disk here. No other peer has confirmed it yet: those that open the document take it from a peer that has it.')
  next(terminal, `mcp-swarm doc get ${quote(name)} ${quote(path)}${place.flags}`)
}

/** A line for what stands there now, and for every change, until it is asked to end. */
export async function docWatch (name: string, path: string | undefined, options: CommonOptions, terminal: Terminal): Promise<void> {
  const place = findPlace(options)
  const signal = askedToEnd()
  try {
    await inquire(place, { do: 'doc-watch', name, path: path ?? '' }, {
      signal,
      changed: news => {
        terminal.print(terminal.json ? JSON.stringify({ event: 'changed', ...news }) : terminal.isTerminal ? plainLine(JSON.stringify(news.value)) : JSON.stringify(news.value))
      }
    })
  } catch (error) {
    if (!(signal.aborted && error instanceof SwarmError && error.code === 'ABORTED')) throw error
  }
}

function readValue (text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (error) {
    throw new UsageError(`the value is not JSON: ${(error as Error).message}\nA text stands in double quotes: '"buy milk"', or - to read the value from standard input.`)
  }
}

/** A text as it is, for a person; anything else as JSON. */
function shown (value: Json, terminal: Terminal): string {
  if (terminal.json) return JSON.stringify(value)
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2)
  return terminal.isTerminal ? plainText(text) : text
}
