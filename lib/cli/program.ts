/** The commands and what each takes. A command's own code is loaded only when it runs, so that `--help` is quick. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { VERSION, type Prefix } from 'mcp-swarm'
import type { CallOptions } from './call.ts'
import { CLIENTS, type Client } from './client.ts'
import type { ConnectOptions } from './connect.ts'
import type { DemoAgentOptions } from './demo-agent.ts'
import { EXIT } from './failure.ts'
import type { InstallOptions } from './install.ts'
import type { InviteCommandOptions } from './invite.ts'
import { PREFIXES, TOOLS_MODES } from './request.ts'
import type { CommonOptions } from './settings.ts'
import type { Terminal } from './terminal.ts'
import type { UpOptions } from './up.ts'

/** Runs a command: the terminal as its options ask for it. Returns the exit code, or nothing for 0. */
export type Run = (json: boolean, command: (terminal: Terminal) => Promise<number | void>) => Promise<void>

export function program (run: Run): Command {
  const root = new Command('mcp-swarm')
    .description('AI agents find each other and call each other\'s MCP tools: peer to peer, no registry, no server.')
    .version(VERSION, '--version', 'print the version')
    .helpOption('--help', 'say what a command takes')
    .helpCommand('help [command]', 'say what a command takes')
    .showHelpAfterError('mcp-swarm help says which commands there are.')
    .addHelpText('after', EPILOGUE)

  command(root, 'up', 'run a peer: offer the servers that the config shares')
    .option('--name <name>', 'what others call this peer')
    .option('--listen <address...>', 'multiaddrs to listen on (default: a free port; in your own swarm of this machine only)')
    .option('--announce <address...>', 'multiaddrs where others can dial it besides: of a proxy, of a router that passes a port on')
    .option('--ticket <ticket>', 'join by this ticket, unless the folder belongs to its swarm already')
    .option('--port <port>', 'port of the gateway for MCP clients, 0 for a free one (default: 7337, or a free one)', readPort)
    .addOption(prefixOption())
    .addOption(toolsOption())
    .option('--no-token', 'let whatever runs on this machine use the gateway')
    .action((options: UpOptions) => run(options.json === true, async terminal => { await (await import('./up.ts')).up(options, terminal) }))

  command(root, 'connect', 'the tools of the whole swarm on stdio, for an MCP client', jsonOption().hideHelp()) // it speaks JSON as it is
    .addOption(prefixOption())
    .addOption(toolsOption())
    .action((options: ConnectOptions) => run(false, async terminal => { await (await import('./connect.ts')).connect(options, terminal) }))

  command(root, 'init', 'make a swarm that others can be let into')
    .action((options: CommonOptions) => run(options.json === true, async terminal => { await (await import('./init.ts')).init(options, terminal) }))

  command(root, 'invite', 'print a ticket: one line, by which somebody else joins this swarm')
    .addOption(new Option('--role <role>', 'what they become; an admin may let others in too').choices(['member', 'admin']).default('member'))
    .option('--expires <duration>', 'how long the ticket can be used, as 30m, 24h or 7d (default: 24h)', readDuration)
    .option('--uses <count>', 'how many may come by it (default: 1)', readCount)
    .option('--member-for <duration>', 'how long they stay without meeting an admin, who then prolongs it (default: for ever)', readDuration)
    .action((options: InviteCommandOptions) => run(options.json === true, async terminal => { await (await import('./invite.ts')).invite(options, terminal) }))

  command(root, 'join', 'join the swarm that a ticket is for')
    .argument('[ticket]', 'the line that mcp-swarm invite printed; - reads it from standard input; default: $MCP_SWARM_TICKET')
    .option('--name <name>', 'what others call this peer')
    .action((ticket: string | undefined, options: CommonOptions & { name?: string }) => run(options.json === true, async terminal => { await (await import('./join.ts')).join(ticket, options, terminal) }))

  command(root, 'peers', 'who is there, and what they offer')
    .action((options: CommonOptions) => run(options.json === true, async terminal => { await (await import('./look.ts')).showPeers(options, terminal) }))

  command(root, 'tools', 'the tools of the swarm')
    .argument('[query]', 'only those with this in their name or description')
    .addOption(prefixOption())
    .action((query: string | undefined, options: CommonOptions & { prefix?: Prefix }) => run(options.json === true, async terminal => { await (await import('./look.ts')).showTools(query, options, terminal) }))

  command(root, 'call', 'call a tool')
    .argument('<tool>', 'its name, as mcp-swarm tools shows it')
    .argument('[json]', 'its arguments as a JSON object; - reads them from standard input; default: {}')
    .option('--agent <name>', 'the agent to ask')
    .option('--peer <name>', 'the peer to ask, by name or id')
    .option('--timeout <seconds>', 'how long to wait (default: 60)', readSeconds)
    .action((tool: string, json: string | undefined, options: CallOptions) => run(options.json === true, async terminal => await (await import('./call.ts')).call(tool, json, options, terminal)))

  const doc = root.command('doc').description('shared documents, as JSON').helpOption('--help', 'say what a command takes').helpCommand(false)
  const path = 'keys with slashes between them, such as todo/t1'
  command(doc, 'get', 'print what stands in a document')
    .argument('<name>', 'the document')
    .argument('[path]', path)
    .action((name: string, at: string | undefined, options: CommonOptions) => run(options.json === true, async terminal => await (await import('./doc.ts')).docGet(name, at, options, terminal)))
  command(doc, 'set', 'put a value into a document; ends when it is on disk')
    .argument('<name>', 'the document')
    .argument('<path>', `${path}; maps that are not there are made`)
    .argument('[json]', 'the value as JSON; - reads it from standard input')
    .option('--delete', 'delete what stands there')
    .action((name: string, at: string, json: string | undefined, options: CommonOptions & { delete?: boolean }) => run(options.json === true, async terminal => { await (await import('./doc.ts')).docSet(name, at, json, options, terminal) }))
  command(doc, 'watch', 'print what stands in a document, and again after every change')
    .argument('<name>', 'the document')
    .argument('[path]', path)
    .action((name: string, at: string | undefined, options: CommonOptions) => run(options.json === true, async terminal => { await (await import('./doc.ts')).docWatch(name, at, options, terminal) }))

  command(root, 'status', 'how this peer is')
    .action((options: CommonOptions) => run(options.json === true, async terminal => { await (await import('./look.ts')).showStatus(options, terminal) }))

  command(root, 'doctor', 'why peers are not seen or calls fail, and what to do')
    .action((options: CommonOptions) => run(options.json === true, async terminal => await (await import('./doctor.ts')).doctor(options, terminal)))

  command(root, 'install', 'put the swarm into the config of an MCP client')
    .addArgument(new Argument('<client>', 'which client').choices(CLIENTS))
    .option('--as <name>', 'name of the entry', 'swarm')
    .option('--user', 'for all your projects, not for the one in the current folder')
    .option('--dry-run', 'show the change, write nothing')
    .option('--force', 'replace another entry of that name; write even if the client seems not to be installed')
    .action((client: Client, options: InstallOptions) => run(options.json === true, async terminal => { await (await import('./install.ts')).install(client, options, terminal) }))

  root.command('demo').description('show it all on this machine, alone, in half a minute')
    .helpOption('--help', 'say what the command takes')
    .option('--json', 'print for a program')
    .action((options: { json?: boolean }) => run(options.json === true, async terminal => await (await import('./demo.ts')).demo(terminal)))

  root.command('demo-agent', { hidden: true })
    .requiredOption('--dir <dir>')
    .requiredOption('--name <name>')
    .option('--probe <tool>')
    .action((options: DemoAgentOptions) => run(true, async terminal => { await (await import('./demo-agent.ts')).demoAgent(options, terminal) }))

  return root
}

const EPILOGUE = `
Exit codes: ${EXIT.ok} done, ${EXIT.failed} failed, ${EXIT.usage} wrong usage.
First steps: mcp-swarm demo
For an MCP client: { "command": "npx", "args": ["-y", "mcp-swarm", "connect"] }`

function command (root: Command, name: string, description: string, json = jsonOption()): Command {
  const parent = root.parent === null ? 'mcp-swarm' : `mcp-swarm ${root.name()}`
  return root.command(name).description(description)
    .showHelpAfterError(`${parent} ${name} --help says what it takes.`)
    .helpOption('--help', 'say what the command takes')
    .option('--dir <dir>', 'data folder (default: one for each config file)')
    .option('--config <file>', 'config file (default: .mcp.json where it is in the current folder)')
    .addOption(json)
}

function jsonOption (): Option {
  return new Option('--json', 'print for a program')
}

function prefixOption (): Option {
  return new Option('--prefix <when>', 'when names carry their agent: auto is only where two would be alike').choices(PREFIXES).default('auto')
}

function toolsOption (): Option {
  return new Option('--tools <which>', 'list all tools, or search tools instead: auto searches where there are more than the client takes').choices(TOOLS_MODES).default('auto')
}

function readPort (text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('It takes a number from 0 to 65535.')
  return port
}

/** In milliseconds. */
function readDuration (text: string): number {
  const [, digits, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const ms = Number(digits) * ({ s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit ?? ''] ?? NaN)
  if (!(ms > 0)) throw new InvalidArgumentError('It takes a number and a unit: 30m, 24h, 7d.')
  return ms
}

function readCount (text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It takes a whole number above 0.')
  return Number(text)
}

function readSeconds (text: string): number {
  const seconds = Number(text)
  if (!(seconds > 0)) throw new InvalidArgumentError('It takes a number of seconds above 0.')
  return seconds
}
