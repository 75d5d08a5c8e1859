/** A script's side of the rig of hosts: does what the test asks, line by line, and ends with it. */
import { createInterface } from 'node:readline'

/** What a hosted script can be asked to do, by name. */
export type Wishes = Readonly<Record<string, (what: Record<string, unknown>) => unknown>>

/** Serves the test's wishes until its end of the pipe is closed; then `end`, and the process ends. */
export function hosted (wishes: Wishes, end: () => unknown = () => undefined): void {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', line => {
    const { id, wish, ...what } = JSON.parse(line) as { id: number, wish: string } & Record<string, unknown>
    const work = (async () => {
      const grant = wishes[wish]
      if (grant === undefined) throw new Error(`no wish ${wish}`)
      return await grant(what)
    })()
    work.then(answer => { write({ id, answer }) }, (error: unknown) => { write({ id, error: String(error), code: (error as { code?: unknown }).code }) })
  })
  lines.once('close', () => { void (async () => { await end() })().finally(() => { process.exit() }) })
}

/** Tells the test of something that has happened. */
export function tell (event: string, what: Record<string, unknown> = {}): void {
  write({ event, ...what })
}

function write (line: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
