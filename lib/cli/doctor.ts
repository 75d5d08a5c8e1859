/** `doctor`: says why peers are not seen or calls fail, and what to do. */
import { SwarmError, systemClock } from 'mcp-swarm'
import type { StatusAnswer } from './answer.ts'
import { diagnose, diagnoseFailure, type Finding, type Level } from './diagnosis.ts'
import { EXIT } from './failure.ts'
import { inquire, next } from './look.ts'
import { findPlace, type CommonOptions, type Place } from './settings.ts'
import { askedToEnd } from './signal.ts'
import type { Terminal } from './terminal.ts'
import { plainLine } from './text.ts'

const SIGNS = { good: ['green', '✓'], note: ['yellow', '!'], bad: ['red', '✗'] } as const satisfies Record<Level, readonly [string, string]>

/** @returns the exit code: failed where something stands in the way */
export async function doctor (options: CommonOptions, terminal: Terminal): Promise<number> {
  const place = findPlace(options)
  const findings = await examine(place)
  const healthy = findings.every(({ level }) => level !== 'bad')
  const code = healthy ? EXIT.ok : EXIT.failed
  if (terminal.json) {
    terminal.print(JSON.stringify({ healthy, findings }))
    return code
  }
  const { paint } = terminal
  for (const { level, says, cure } of findings) {
    const [style, sign] = SIGNS[level]
    terminal.print(`${paint(style, sign)} ${plainLine(says)}`)
    if (cure !== undefined) terminal.print(`  ${paint('dim', '→')} ${plainLine(cure)}`)
  }
  next(terminal, healthy ? `mcp-swarm peers${place.flags}` : `mcp-swarm doctor${place.flags}, when the first of these is done`)
  return code
}

async function examine (place: Place): Promise<Finding[]> {
  try {
    const status = await inquire(place, { do: 'status' }, { signal: askedToEnd() }) as StatusAnswer
    return diagnose(status, { runs: status.peer.pid !== process.pid, nowMs: systemClock.wallMs() })
  } catch (error) {
    if (!(error instanceof SwarmError) || error.code === 'ABORTED') throw error
    return [diagnoseFailure(error)]
  }
}
