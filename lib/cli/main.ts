/** Where `mcp-swarm` starts: reads the command line, runs the command, ends with its exit code. */
import { CommanderError } from 'commander'
import { EXIT, exitCodeOf, failureJson, failureText } from './failure.ts'
import { program } from './program.ts'
import { leave, openTerminal } from './terminal.ts'

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
  if (process.argv.length <= 2) {
    root.outputHelp()
    return EXIT.ok
  }
  for (const each of [root, ...root.commands]) each.exitOverride()
  try {
    await root.parseAsync()
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage // commander has said what was wrong
  }
  return code
}

void main().then(leave)
