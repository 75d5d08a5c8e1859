/**
 * Hosts on networks of their own: namespaces of Linux, joined by bridges, routers and NATs, with a Node script in each. All of
 * it lies inside one unprivileged user namespace, so that nothing reaches a real interface; inside one PID namespace too, whose
 * first process reads a pipe from here: however the test ends, all that was started ends with it, and the networks go.
 *
 * Network `n` is 10.77.n.0/24, with IPv6 link-local addresses. Host `h` has there 10.77.n.(h + 1), on the interfaces eth0, eth1…
 * in the order of its networks. A gateway (router or NAT) has 10.77.n.(254 - its number). Multicast stays within a network.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { bundlePrograms } from '../../scripts/bundle.ts'
import { Program } from './program.ts'
import { bundleOf } from './source.ts'
import { within } from './within.ts'

/** What the rig needs, for `needs(test, ...HOSTS_NEED)`. */
export const HOSTS_NEED = ['linux', 'ip', 'nft', 'nsenter', 'namespaces'] as const

/** Hosts on one network: their addresses must not meet those of gateways. */
const HOSTS_MAX = 200

const END_MS = 10_000
const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

export interface HostsOptions {
  /** 1 to HOSTS_MAX. */
  readonly count: number
  /** By host, the networks it is on. Default: every host on network 0. */
  readonly networks?: readonly (readonly number[])[]
  /** Gateways that forward between two networks, addresses unchanged. */
  readonly routers?: readonly (readonly [number, number])[]
  /** Gateways that hide the inside behind their own address. Unasked packets from outside are dropped. */
  readonly nats?: readonly Nat[]
}

export interface Nat {
  readonly inside: number
  readonly outside: number
  /**
   * port-restricted (default): an inner port keeps its outer one towards everybody, while that is free; holes can be punched.
   * symmetric: another outer port for every destination.
   */
  readonly kind?: 'port-restricted' | 'symmetric'
}

export interface Hosts extends AsyncDisposable {
  readonly hosts: readonly Host[]
  /** Ends all that runs, and takes everything away. */
  end (): Promise<void>
}

/** Makes the networks and their hosts. */
export async function hosts (options: HostsOptions): Promise<Hosts> {
  if (options.count > HOSTS_MAX) throw new Error(`at most ${HOSTS_MAX} hosts`)
  const world = new World(mkdtempSync(join(tmpdir(), 'mcp-swarm-hosts-')))
  try {
    const plan = Array.from({ length: options.count }, (_, index) => options.networks?.[index] ?? [0])
    await world.open(layOut(plan, options.routers ?? [], options.nats ?? []))
    const all = plan.map((networks, index) => new Host(world, index, networks, options.routers ?? [], options.nats ?? []))
    await world.inside(all.map(host => host.routing()).join('\n'))
    return { hosts: all, end: async () => { await world.end() }, [Symbol.asyncDispose]: async () => { await world.end() } }
  } catch (error) {
    await world.end()
    throw error
  }
}

export class Host {
  readonly index: number
  /** Its folder, for what its scripts keep; the home of their user. */
  readonly dir: string
  readonly #world: World
  readonly #networks: readonly number[]
  readonly #routers: readonly (readonly [number, number])[]
  readonly #nats: readonly Nat[]
  readonly #addresses: string[]

  constructor (world: World, index: number, networks: readonly number[], routers: readonly (readonly [number, number])[], nats: readonly Nat[]) {
    this.#world = world
    this.index = index
    this.dir = join(world.dir, `host-${index}`)
    this.#networks = networks
    this.#routers = routers
    this.#nats = nats
    this.#addresses = networks.map(network => addressOf(network, index + 1))
    mkdirSync(join(this.dir, 'run'), { recursive: true, mode: 0o700 })
  }

  /** By interface, its IPv4 address. */
  get addresses (): readonly string[] {
    return this.#addresses
  }

  /**
   * Runs a Node script of the project here, bundled: `hosted.ts` is its side. Its user has this host's folder for a home, and
   * discovers and listens as users do, not as tests do elsewhere.
   *
   * @param script below the project, ending in .ts
   */
  async start (script: string | URL, options: { args?: readonly string[], env?: NodeJS.ProcessEnv } = {}): Promise<Program> {
    const bundle = await bundled(typeof script === 'string' ? script : fileURLToPath(script))
    const { MCP_SWARM_DISCOVERY: _discovery, MCP_SWARM_LISTEN: _listen, NODE_EXTRA_CA_CERTS: _certificates, ...inherited } = process.env
    const env = {
      ...inherited, HOME: this.dir, XDG_DATA_HOME: join(this.dir, 'data'), XDG_CACHE_HOME: join(this.dir, 'cache'), XDG_RUNTIME_DIR: join(this.dir, 'run'), ...options.env
    }
    return this.#world.program(`h${this.index}`, [process.execPath, '--enable-source-maps', bundle, ...options.args ?? []], env)
  }

  /** Runs a line of shell here, and returns what it prints. */
  async run (line: string): Promise<string> {
    return await this.#world.inside(inHost(this.index, line))
  }

  /** Takes an interface down. */
  async down (nth = 0): Promise<void> {
    await this.run(`ip link set eth${nth} down`)
  }

  async up (nth = 0): Promise<void> {
    await this.run(`ip link set eth${nth} up`)
    await this.#world.inside(`${noticed(`h${this.index}`, nth, 'UP')}\n${this.routing()}`)
  }

  /** Takes an interface away, as one that is pulled out. */
  async unplug (nth = 0): Promise<void> {
    await this.run(`ip link del eth${nth}`)
  }

  async plug (nth = 0): Promise<void> {
    await this.#world.inside(`${wire(this.#networks[nth] ?? 0, `h${this.index}`, nth, this.#addresses[nth] ?? '')}\n${this.routing()}`)
  }

  /** Pulls the cable: the interface stays, without a carrier. */
  async cut (nth = 0): Promise<void> {
    await this.#world.inside(`ip link set h${this.index}e${nth} down\n${noticed(`h${this.index}`, nth, 'DOWN')}`)
  }

  async mend (nth = 0): Promise<void> {
    await this.#world.inside(`ip link set h${this.index}e${nth} up\n${noticed(`h${this.index}`, nth, 'UP')}\n${this.routing()}`)
  }

  /** Gives an interface another address of its network, in place of the one it has. */
  async readdress (address: string, nth = 0): Promise<void> {
    const before = this.#addresses[nth]
    this.#addresses[nth] = address
    await this.run(`ip addr del ${before}/24 dev eth${nth} && ip addr add ${address}/24 dev eth${nth}`)
    await this.#world.inside(this.routing())
  }

  /** Drops multicast: `out` fails with EPERM where it is sent, `in` goes unnoticed. */
  async blockMulticast (way: 'in' | 'out' = 'in'): Promise<void> {
    await this.run(`nft -f - <<'RULES'
table inet rig {
  chain ${way} {
    type filter hook ${way}put priority 0
    ip daddr 224.0.0.0/4 udp dport 1-65535 drop
    ip6 daddr ff00::/8 udp dport 1-65535 drop
  }
}
RULES`)
  }

  async allowMulticast (): Promise<void> {
    await this.run('nft delete table inet rig 2>/dev/null || true')
  }

  /** Commands for its routes, which an interface loses when it goes down. */
  routing (): string {
    const lines = ['ip route replace 224.0.0.0/4 dev eth0 2>/dev/null || true']
    this.#networks.forEach(network => {
      this.#routers.forEach(([left, right], gateway) => {
        if (left !== network && right !== network) return
        lines.push(`ip route replace 10.77.${left === network ? right : left}.0/24 via ${addressOf(network, 254 - gateway)} 2>/dev/null || true`)
      })
      this.#nats.forEach(({ inside }, nat) => {
        if (inside === network) lines.push(`ip route replace default via ${addressOf(network, 254 - this.#routers.length - nat)} 2>/dev/null || true`)
      })
    })
    return inHost(this.index, lines.join('\n'))
  }
}

/** The namespaces that hold everything, and what runs in them. */
class World {
  readonly dir: string
  readonly #keeper = spawn('unshare', ['-rnmpf', '--kill-child', 'sh', '-c', 'read pid rest </proc/self/stat; echo $pid; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  readonly #gone = once(this.#keeper, 'close')
  readonly #programs = new Set<Program>()
  #pid = ''

  constructor (dir: string) {
    this.dir = dir
  }

  async open (commands: string): Promise<void> {
    const [said] = await within(END_MS, 'namespaces', once(this.#keeper.stdout.setEncoding('utf8'), 'data')) as [string]
    this.#pid = said.trim()
    await this.inside(commands)
  }

  /** Runs shell commands in the outermost namespaces, each of which must succeed. */
  async inside (commands: string): Promise<string> {
    try {
      return (await run('nsenter', [...this.#enter(), 'sh', '-ec', commands], { maxBuffer: 2 ** 24 })).stdout
    } catch (error) {
      throw new Error(`in a namespace: ${(error as { stderr?: string }).stderr ?? String(error)}`, { cause: error })
    }
  }

  program (namespace: string, command: readonly string[], env: NodeJS.ProcessEnv): Program {
    // The shell says under which id it goes on as the script: that of its own PID namespace.
    const mark = join(this.dir, `pid-${namespace}-${performance.now()}`)
    const args = [...this.#enter(), 'nsenter', `--net=/run/netns/${namespace}`, 'sh', '-c', 'echo $$ >"$0"; exec "$@"', mark, ...command]
    const program = new Program('nsenter', args, env, () => { void this.inside(`kill -9 $(cat ${mark})`).catch(() => undefined /* it has just ended by itself */) })
    this.#programs.add(program)
    void program.ended.then(() => { this.#programs.delete(program) })
    return program
  }

  async end (): Promise<void> {
    this.#keeper.stdin.end()
    await within(END_MS, 'the end of the namespaces', Promise.all([this.#gone, ...[...this.#programs].map(async program => { await program.ended })]))
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }

  #enter (): string[] {
    return ['-t', this.#pid, '-U', '-m', '-n', '-p', '--preserve-credentials']
  }
}

const addressOf = (network: number, place: number): string => `10.77.${network}.${place}`

const inHost = (index: number, lines: string): string => inNamespace(`h${index}`, lines)

const inNamespace = (name: string, lines: string): string => `nsenter --net=/run/netns/${name} sh -ec '${lines.replaceAll("'", "'\\''")}'`

/** A cable from a namespace to the bridge of a network. */
function wire (network: number, namespace: string, nth: number, address: string): string {
  const port = `${namespace}e${nth}`
  return `ip link add ${port} type veth peer name eth${nth} netns ${namespace}
ip link set ${port} master br${network} up
ip -n ${namespace} addr add ${address}/24 dev eth${nth}
ip -n ${namespace} link set eth${nth} up
${noticed(namespace, nth, 'UP')}`
}

/** Commands that wait until the system has seen what became of a cable: once a second where many are pulled and plugged in. */
function noticed (namespace: string, nth: number, state: 'DOWN' | 'UP'): string {
  const seen = `ip -n ${namespace} -o link show eth${nth} | grep -qE 'state (LOWERLAYER)?${state} '`
  return `tries=0; until ${seen}; do tries=$((tries+1)); test $tries -lt 500; sleep 0.01; done`
}

/** A namespace whose interfaces have their IPv6 addresses at once. */
function space (name: string): string {
  return `ip netns add ${name}
${inNamespace(name, 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/default/router_solicitations')}
ip -n ${name} link set lo up`
}

/** Commands that lay all the networks out. */
function layOut (plan: readonly (readonly number[])[], routers: readonly (readonly [number, number])[], nats: readonly Nat[]): string {
  const bridges = new Set([...plan.flat(), ...routers.flat(), ...nats.flatMap(({ inside, outside }) => [inside, outside])])
  const gateways = [...routers.map(pair => ({ pair, rules: '' })), ...nats.map(nat => ({ pair: [nat.inside, nat.outside] as const, rules: natRules(nat) }))]
  return [
    'mount -t tmpfs tmpfs /run',
    'ip link set lo up',
    ...[...bridges].map(network => `ip link add br${network} type bridge forward_delay 0 mcast_snooping 0\nip link set br${network} up`),
    ...plan.flatMap((networks, host) => [space(`h${host}`), ...networks.map((network, nth) => wire(network, `h${host}`, nth, addressOf(network, host + 1)))]),
    ...gateways.flatMap(({ pair, rules }, gateway) => [
      space(`g${gateway}`),
      ...pair.map((network, nth) => wire(network, `g${gateway}`, nth, addressOf(network, 254 - gateway))),
      inNamespace(`g${gateway}`, `echo 1 >/proc/sys/net/ipv4/ip_forward${rules}`)
    ])
  ].join('\n')
}

/** eth0 is inside. What comes unasked is dropped without a word: a refusal would close the hole that the other side punches. */
function natRules ({ kind }: Nat): string {
  return `
nft -f - <<'RULES'
table ip nat {
  chain out { type nat hook postrouting priority 100; oifname "eth1" masquerade${kind === 'symmetric' ? ' fully-random' : ''}; }
}
table inet guard {
  chain through { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "eth0" oifname "eth1" accept; }
  chain to { type filter hook input priority 0; iifname "eth1" ct state new drop; }
}
RULES`
}

const bundles = new Map<string, Promise<string>>()

/** A script as one file; made once for each process. */
async function bundled (path: string): Promise<string> {
  const ready = bundleOf(path)
  if (ready !== undefined) return ready
  const file = relative(root, path)
  let made = bundles.get(file)
  if (made === undefined) {
    const isCounted = process.env['NODE_V8_COVERAGE'] !== undefined
    const folder = join(isCounted ? 'coverage' : '.tmp', `hosts-${process.pid}`)
    if (!isCounted && bundles.size === 0) process.once('exit', () => { rmSync(join(root, folder), { recursive: true, force: true }) })
    made = bundlePrograms([file], folder).then(all => join(root, all.get(file) ?? ''))
    bundles.set(file, made)
  }
  return await made
}
