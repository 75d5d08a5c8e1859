/**
 * A program that embeds the library, for the demo: a peer with agents of its own. It prints a line per event, as
 * `up --json` does. On its standard input the line `learn` gives one of its agents another tool, `plan` opens a shared document, and
 * `write` edits it.
 */
import { joinSwarm, sleep, systemClock, type Document, type Swarm } from 'mcp-swarm'
import { readLines } from './lines.ts'
import { askedToEnd, fired } from './signal.ts'
import type { Terminal } from './terminal.ts'

export interface DemoAgentOptions {
  readonly dir: string
  readonly name: string
  /** A tool of another peer to call as soon as it is known. */
  readonly probe?: string
}

/** Milliseconds a step of `count_slowly` takes. */
const STEP_MS = 120

const COUNT = { type: 'object', properties: { steps: { type: 'integer', minimum: 1, maximum: 50 } }, required: ['steps'] } as const
const TEXT = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] } as const

export async function demoAgent ({ dir, name, probe }: DemoAgentOptions, terminal: Terminal): Promise<void> {
  const asked = askedToEnd()
  const print = (event: string, facts: object = {}): void => { terminal.print(JSON.stringify({ event, ...facts })) }
  const startMs = systemClock.nowMs()
  const swarm = await joinSwarm({ dir, name })
  const readyMs = systemClock.nowMs()

  const clerk = swarm.agent('clerk', { pool: 'clerks', description: 'One of several that do the same' })
  clerk.tool('who_serves', { description: 'Says which peer of the pool answers', annotations: { readOnlyHint: true, idempotentHint: true } }, () => ({ peer: name, pid: process.pid }))
  await clerk.start()

  const own = swarm.agent(name, { description: 'An agent made with the library' })
  own.tool(`shout_${name}`, { description: 'Says a text louder', input: TEXT }, args => textIn(args).toUpperCase())
  own.tool(`count_${name}`, { description: 'Counts slowly, and says how far it is', input: COUNT }, async ({ steps }, { signal, progress }) => {
    const last = Number(steps)
    for (let step = 1; step <= last; step++) {
      await sleep(systemClock, STEP_MS, signal)
      progress(step, last, `step ${step}`)
    }
    return `counted to ${last}`
  })
  await own.start()
  print('ready', { peerId: swarm.peerId, name, pid: process.pid, readyMs: readyMs - startMs })

  void fired(asked).then(() => { process.stdin.destroy() })
  if (probe !== undefined) {
    await known(swarm, probe, asked)
    await swarm.call(probe, { a: 1, b: 2, text: 'there' }, { signal: asked })
    print('callable', { tool: probe, ms: systemClock.nowMs() - readyMs })
  }
  try {
    let plan: Document | undefined
    for await (const line of readLines(process.stdin)) {
      if (line === 'learn') {
        own.tool(`whisper_${name}`, { description: 'Says a text softer', input: TEXT }, args => textIn(args).toLowerCase())
        print('learned')
      } else if (line === 'plan') {
        plan = await swarm.document('plan')
        const text = plan.ydoc.getText('plan')
        text.observe(() => { print('plan', { text: text.toJSON() }) })
        print('opened')
      } else if (line === 'write' && plan !== undefined) plan.ydoc.getText('plan').insert(0, `${name} was here. `)
    }
  } catch (error) {
    if (!asked.aborted) throw error
  }
  await swarm.close()
}

/** Resolves once a provider of the tool is known. */
async function known (swarm: Swarm, tool: string, asked: AbortSignal): Promise<void> {
  const isKnown = (): boolean => swarm.find({ tool }).some(({ available }) => available)
  await new Promise<void>(resolve => {
    const check = (): void => { if (isKnown() || asked.aborted) stop() }
    const stop = (): void => {
      stopListening()
      resolve()
    }
    const stopListening = swarm.on('tools:changed', check)
    void fired(asked).then(stop)
    check()
  })
}

function textIn ({ text }: { readonly text?: unknown }): string {
  return typeof text === 'string' ? text : ''
}
