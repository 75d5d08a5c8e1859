import { painter, type Paint } from './paint.ts'

/** Where a command prints, and how: results to standard output, everything else to standard error. */
export interface Terminal {
  /** Print for a program: one JSON value, or one a line. */
  readonly json: boolean
  /** Whether standard output is a terminal: what others wrote is made plain before it goes there. */
  readonly isTerminal: boolean
  readonly paint: Paint
  /** Characters of a line; undefined where standard output is no terminal. */
  readonly width: number | undefined
  print (text: string): void
  note (text: string): void
}

export function openTerminal (json: boolean): Terminal {
  const isTerminal = process.stdout.isTTY === true
  return {
    json,
    isTerminal,
    paint: painter(isTerminal && !json, process.env),
    width: isTerminal ? process.stdout.columns : undefined,
    print: text => { process.stdout.write(`${text}\n`) },
    note: text => { process.stderr.write(`${text}\n`) }
  }
}

/** Ends the process once what was printed has left. */
export async function leave (code: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    if (!stream.destroyed && stream.writableLength > 0) await new Promise<void>(resolve => stream.write('', () => { resolve() }))
  }
  process.exit(code)
}
