// bound: 120 s
/** Joining by a ticket on a LAN: hosts are namespaces on one bridge. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readTicket } from '../../lib/access/ticket.ts'
import { HOSTS_NEED, hosts } from '../support/hosts.ts'
import { needs } from '../support/needs.ts'
import { Member } from './lan.ts'

const MEMBER = new URL('./member.ts', import.meta.url)
const can = needs(test, ...HOSTS_NEED)

can('a ticket lets in by its addresses; and where the inviter has another port since, by finding it on the LAN', async () => {
  await using rig = await hosts({ count: 3 })
  const [admin, second, third] = await Promise.all(rig.hosts.map(async host => new Member(host, await host.start(MEMBER)))) as [Member, Member, Member]
  await admin.program.ask('make')
  await admin.join()
  const ticket = await admin.program.ask<string>('invite', { uses: 2 })
  const addresses = readTicket(ticket).inviters[0]?.addresses ?? []
  assert.match(addresses[0] ?? '', /^\/ip4\/10\.77\.0\.1\//)
  assert.ok(addresses.findIndex(address => address.startsWith('/ip4/127.')) > addresses.findIndex(address => address.startsWith('/ip4/10.')), addresses.join(' '))
  const beganMs = Date.now()
  await second.join({ ticket, discovery: { folder: false, mdns: false, dht: false } })
  await second.reach(admin)
  console.log(`\nnote: let in by its address, and called, after ${Date.now() - beganMs} ms`)
  await admin.crash()
  await admin.join({ listen: ['/ip4/0.0.0.0/tcp/0'] })
  const againMs = Date.now()
  await third.join({ ticket })
  console.log(`\nnote: let in by mDNS after ${Date.now() - againMs} ms`)
  await third.reach(admin)
  await admin.reach(third)
})

test.run()
