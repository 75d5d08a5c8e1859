/** Where `mcp-swarm` starts: reads the command line, runs the command, ends with its exit code. */
import { MessageChannel } from 'node:worker_threads'
import { CommanderError, type Command } from 'commander'
import { EXIT, exitCodeOf, failureJson, failureText, UsageError } from './failure.ts'
import { program } from './program.ts'
import { leave, openTerminal } from './terminal.ts'

/** Keeps this process from ending by itself. */
const alive = new MessageChannel()

async function main (): Promise<number> {
  // A reader that goes away is no failure of ours: a command that would go on is asked to end (signal.ts).
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => { stream.destroy() })
  let code: number = EXIT.ok
  const root = program(async (json, command) => {
    const terminal = openTerminal(json)
    try {
      code = await command(terminal) ?? EXIT.ok
    } catch (error) {
      if (json) terminal.print(failureJson(error))
      else terminal.note(failureText(error))
      code = exitCodeOf(error)
    }
  })
  // A command may wait with nothing open, for another one to leave the folder: Node would take it for done, with exit code 0.
  alive.port1.ref()
  if (process.argv.length <= 2) {
    root.outputHelp()
    return EXIT.ok
  }
  const json = process.argv.includes('--json')
  overrideExit(root, json)
  try {
    await root.parseAsync()
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return EXIT.ok
    // commander has said to a person what was wrong
    if (json) openTerminal(json).print(failureJson(new UsageError(error.message.replace(/^error: /, ''))))
    return EXIT.usage
  }
  return code
}

/** Has a command, and those below it, throw where commander would end the process, and tell wrong usage as every failure is told. */
function overrideExit (command: Command, json: boolean): void {
  command.exitOverride().configureOutput(json ? { writeErr: () => {} } : { outputError: (text, write) => { write(text.replace(/^error: /, 'mcp-swarm: ')) } })
  for (const each of command.commands) overrideExit(each, json)
}

void main().then(leave)
