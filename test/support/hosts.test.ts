// bound: 120 s
import { readdirSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { HOSTS_NEED, hosts, type Host } from './hosts.ts'
import { needs } from './needs.ts'
import type { Program } from './program.ts'
import { until } from './within.ts'

const PARROT = new URL('./parrot.ts', import.meta.url)
const can = needs(test, ...HOSTS_NEED)

async function parrots (all: readonly Host[]): Promise<Program[]> {
  const programs = await Promise.all(all.map(async host => await host.start(PARROT)))
  await Promise.all(programs.map(async program => { await program.ask('listen') }))
  return programs
}

/** By which address the other end knows us; undefined where it cannot be reached. */
async function dial (program: Program | undefined, address: string | undefined): Promise<string | undefined> {
  return await program?.ask<string>('dial', { address }).catch(() => undefined)
}

can('hosts on one network hear each other, and nothing of theirs is seen outside', async () => {
  const before = Object.keys(networkInterfaces())
  await using rig = await hosts({ count: 3 })
  const [first, second, third] = await parrots(rig.hosts)
  assert.equal(rig.hosts.map(host => host.addresses), [['10.77.0.1'], ['10.77.0.2'], ['10.77.0.3']])
  await first?.ask('send', { text: 'hello' })
  for (const other of [second, third]) assert.is((await other?.hear('heard', ({ text }) => text === 'hello'))?.['from'], '10.77.0.1')
  assert.is(await dial(third, '10.77.0.1'), '10.77.0.3')
  assert.equal(await first?.ask('interfaces'), ['lo 127.0.0.1', 'eth0 10.77.0.1'])
  assert.equal(await first?.ask('folders'), [rig.hosts[0]?.dir, null])
  assert.equal(Object.keys(networkInterfaces()), before)
})

can('an interface goes down, is pulled out, loses its cable, changes its address, and comes back', async () => {
  await using rig = await hosts({ count: 2 })
  const [host] = rig.hosts as [Host]
  const [program, other] = await parrots(rig.hosts)
  const seen = async (): Promise<unknown> => await program?.ask('interfaces')
  const [without, with1] = [['lo 127.0.0.1'], ['lo 127.0.0.1', 'eth0 10.77.0.1']]
  for (const [away, back] of [['down', 'up'], ['unplug', 'plug'], ['cut', 'mend']] as const) {
    await host[away]()
    assert.equal(await seen(), without, away)
    assert.is(await dial(program, '10.77.0.2'), undefined, away)
    await host[back]()
    assert.equal(await seen(), with1, back)
    assert.is(await dial(program, '10.77.0.2'), '10.77.0.1', back)
  }
  await host.readdress('10.77.0.77')
  assert.equal(await seen(), ['lo 127.0.0.1', 'eth0 10.77.0.77'])
  assert.is(await dial(other, '10.77.0.77'), '10.77.0.2')
})

can('multicast is blocked where it is sent, or where it arrives, and then not any more', async () => {
  await using rig = await hosts({ count: 3 })
  const [first, second] = rig.hosts as [Host, Host]
  const [sender, deaf, hearing] = await parrots(rig.hosts)
  await first.blockMulticast('out')
  assert.is(await sender?.ask('send', { text: 'no' }).then(() => 'sent', (error: { code?: string }) => error.code), 'EPERM')
  await first.allowMulticast()
  await second.blockMulticast('in')
  await sender?.ask('send', { text: 'half' })
  await hearing?.hear('heard', ({ text }) => text === 'half')
  await second.allowMulticast()
  await sender?.ask('send', { text: 'all' })
  await deaf?.hear('heard', ({ text }) => text === 'all')
  assert.equal(deaf?.told.map(({ text }) => text), ['all'])
  assert.is(await dial(deaf, '10.77.0.1'), '10.77.0.2')
})

can('two networks: without a way, by a host on both, and by a router, which passes no multicast', async () => {
  await using rig = await hosts({ count: 3, networks: [[0], [1], [0, 1]] })
  const [left, right, both] = await parrots(rig.hosts)
  assert.equal(rig.hosts[2]?.addresses, ['10.77.0.3', '10.77.1.3'])
  assert.is(await dial(left, '10.77.1.2'), undefined)
  assert.equal([await dial(left, '10.77.0.3'), await dial(right, '10.77.1.3'), await dial(both, '10.77.1.2')], ['10.77.0.1', '10.77.1.2', '10.77.1.3'])
  await using routed = await hosts({ count: 3, networks: [[0], [1], [1]], routers: [[0, 1]] })
  const [sender, near, far] = await parrots([routed.hosts[1], routed.hosts[2], routed.hosts[0]] as Host[])
  assert.is(await dial(far, '10.77.1.2'), '10.77.0.1')
  await sender?.ask('send', { text: 'near' })
  await near?.hear('heard', ({ text }) => text === 'near')
  assert.is(far?.told.length, 0)
})

can('behind a NAT a host reaches out under its gateway’s address, and nobody reaches in', async () => {
  await using rig = await hosts({ count: 3, networks: [[0], [1], [2]], nats: [{ inside: 1, outside: 0 }, { inside: 2, outside: 0, kind: 'symmetric' }] })
  const [outside, inner, other] = await parrots(rig.hosts)
  assert.equal([await dial(inner, '10.77.0.1'), await dial(other, '10.77.0.1')], ['10.77.0.254', '10.77.0.253'])
  assert.equal(await Promise.all([dial(outside, '10.77.1.2'), dial(outside, '10.77.0.254'), dial(inner, '10.77.2.3')]), [undefined, undefined, undefined])
})

can('a script is killed alone; what still runs ends with the rig, whatever it does', async () => {
  const rig = await hosts({ count: 1 })
  const [host] = rig.hosts as [Host]
  const [killed, left] = await Promise.all([host.start(PARROT), host.start(PARROT)])
  await Promise.all([killed.ask('listen'), left.ask('interfaces')])
  const running = (): number => processesOf(host.dir)
  assert.ok(running() >= 2)
  await killed.kill()
  assert.match(await killed.ask<string>('interfaces').catch(({ message }: Error) => message), 'it has ended')
  assert.equal(await left.ask('interfaces'), ['lo 127.0.0.1', 'eth0 10.77.0.1'])
  await rig.end()
  await until('the system to have taken the processes away', () => running() === 0)
})

/** How many processes of this machine have that folder for a home. */
function processesOf (home: string): number {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`HOME=${home}`)
    } catch {
      return false // it has ended, or is another user's
    }
  }).length
}

test.run()
