import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../lib/base/clock.ts'
import type { SwarmError } from '../../lib/base/error.ts'
import type { Network } from '../../lib/base/network.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { keptPorts } from '../../lib/swarm/kept.node.ts'
import { openAgain, portsOf, readPorts, type Ports } from '../../lib/swarm/ports.ts'
import { openNetwork } from '../../transports/libp2p/node.ts'

const LISTEN = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws']

/** A folder, and the networks that were opened for it. */
class Rig {
  readonly dir = mkdtempSync(join(tmpdir(), 'mcp-swarm-ports-'))
  readonly #open: { close (): Promise<void> }[] = []

  get kept (): Ports {
    return JSON.parse(readFileSync(join(this.dir, 'ports.json'), 'utf8')) as Ports
  }

  async open (listen: readonly string[] = LISTEN, announce: readonly string[] = []): Promise<Network> {
    const key = generateKey(systemRandom)
    const network = await openAgain(listen, keptPorts(this.dir), async chosen => await openNetwork({ key, listen: chosen, announce, clock: systemClock, random: systemRandom }), announce)
    this.#open.push(network)
    return network
  }

  /** Another program that listens there. */
  async take (port: number): Promise<void> {
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    this.#open.push({ close: async () => { await new Promise(resolve => { server.close(resolve) }) } })
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    for (const each of this.#open) await each.close()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

test('a peer that starts again listens where it did', async () => {
  await using rig = new Rig()
  const first = await rig.open()
  const ports = portsOf(first.addresses())
  assert.equal([Object.keys(ports), rig.kept], [['ip4 tcp', 'ip4 ws'], ports])
  await first.close()
  for (let start = 0; start < 3; start++) {
    const again = await rig.open()
    assert.equal(portsOf(again.addresses()), ports)
    await again.close()
  }
})

test('the port of an address that is only announced is not its own', async () => {
  await using rig = new Rig()
  const announced = ['/ip4/192.0.2.1/tcp/4001', '/ip6/2001:db8::1/tcp/4002']
  const first = await rig.open(LISTEN, announced)
  assert.equal(first.addresses().slice(0, 2), announced)
  const { 'ip4 tcp': port } = rig.kept
  assert.equal([Object.keys(rig.kept), port], [['ip4 tcp', 'ip4 ws'], Number(first.addresses()[2]?.split('/')[4])])
  await first.close()
  assert.is((await rig.open(LISTEN, announced)).addresses()[2], `/ip4/127.0.0.1/tcp/${port}`)
})

test('a port that somebody has taken is replaced alone, and the new one is kept', async () => {
  await using rig = new Rig()
  const first = await rig.open()
  const ports = portsOf(first.addresses())
  await first.close()
  await rig.take(ports['ip4 tcp'] as number)
  const second = await rig.open()
  const others = portsOf(second.addresses())
  assert.is.not(others['ip4 tcp'], ports['ip4 tcp'])
  assert.equal([others['ip4 ws'], rig.kept], [ports['ip4 ws'], others])
  await second.close()
  assert.equal(portsOf((await rig.open()).addresses()), others)
})

test('where all are taken, all are replaced', async () => {
  await using rig = new Rig()
  const first = await rig.open()
  const ports = portsOf(first.addresses())
  const second = await rig.open() // while the first one runs
  for (const [name, port] of Object.entries(portsOf(second.addresses()))) assert.is.not(port, ports[name])
})

test('a port that was asked for is not replaced', async () => {
  await using rig = new Rig()
  const ports = portsOf((await rig.open()).addresses())
  try {
    await rig.open([`/ip4/127.0.0.1/tcp/${ports['ip4 tcp']}`])
    assert.unreachable('two listen on one port')
  } catch (error) {
    assert.is((error as SwarmError).code, 'PORT_IN_USE')
  }
})

test('a kept port that is lost without an error, as that of IPv6 is, is given up for another', async () => {
  await using rig = new Rig()
  const ports = portsOf((await rig.open()).addresses())
  const opened: (readonly string[])[] = []
  const kept: Ports[] = []
  const network = await openAgain([...LISTEN, '/ip6/::1/tcp/0'], { load: async () => ({ 'ip6 tcp': 40_001 }), save: async now => { kept.push(now) } }, async listen => {
    opened.push(listen)
    // Whoever listens on IPv4 as well is not told that IPv6 failed.
    return await rig.open(listen.filter(address => address.startsWith('/ip4/')))
  })
  assert.equal(opened.map(([, , last]) => last), ['/ip6/::1/tcp/40001', '/ip6/::1/tcp/0'])
  assert.equal(kept, [portsOf(network.addresses())])
  assert.is.not(kept[0]?.['ip4 tcp'], ports['ip4 tcp'])
})

for (const [name, text] of [['damaged', '{"ip4 tcp":'], ['no object', '[]'], ['full of nonsense', '{"ip4 tcp":"x","ip4 ws":22,"ip6 tcp":70000}']] as const) {
  test(`a file that is ${name} is as none`, async () => {
    await using rig = new Rig()
    writeFileSync(join(rig.dir, 'ports.json'), text)
    const network = await rig.open()
    assert.equal(rig.kept, portsOf(network.addresses()))
  })
}

test('where they cannot be kept, a peer listens all the same', async () => {
  await using rig = new Rig()
  rmSync(rig.dir, { recursive: true })
  const network = await rig.open()
  assert.is(network.addresses().length, 2)
})

test('of a file that is too long no more is read than may be', async () => {
  await using rig = new Rig()
  writeFileSync(join(rig.dir, 'ports.json'), `${' '.repeat(1_000_000)}{"ip4 tcp":40001}`)
  assert.equal(await keptPorts(rig.dir).load(), {})
})

test('what is no port is not read', () => {
  assert.equal(readPorts({ one: 1_023, two: 1_024, three: 65_535, four: 65_536, five: 2_000.5, six: '4001', seven: null }), { two: 1_024, three: 65_535 })
  assert.equal(readPorts('nothing'), {})
})

test.run()
