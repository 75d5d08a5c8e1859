import { createServer } from 'node:net'
import { once } from 'node:events'
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { parseConfig } from '../../lib/swarm/config.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { until } from '../support/within.ts'
import { offerEcho, openStage } from './stage.ts'

const { user, joined, fails, scene } = await openStage(test, { joinMs: 10_000, sceneMs: 30_000 })

scene('two peers of one user meet over real sockets and call each other', async () => {
  const [alice, bob] = [await joined({ name: 'alice' }), await joined({ name: 'bob' })]
  await offerEcho(bob)
  await alice.joined()
  await until('the tool is known', () => alice.find({ tool: 'say' }).length === 1)
  const { content } = await alice.call('say', { text: 'hello' })
  assert.equal(content, [{ type: 'text', text: 'hello' }])
})

scene('a peer that starts again has its key, and knows the tools of others before it meets anyone', async () => {
  const dir = join(user.home, 'alice')
  const alice = await joined({ dir, name: 'alice' })
  const bob = await joined({ name: 'bob' })
  await offerEcho(bob)
  await until('the tool is known', () => alice.find({ tool: 'say' }).length === 1)
  const { peerId } = alice
  await alice.close()
  const again = await joined({ dir, name: 'alice', discovery: false })
  assert.is(again.peerId, peerId)
  assert.equal(again.find({ tool: 'say' }), [])
  assert.equal(again.find({ tool: 'say', all: true }).map(({ available, peerName }) => [available, peerName]), [[false, 'bob']])
  const error = await again.call('say', { text: 'x' }).then(() => undefined, (thrown: unknown) => thrown as SwarmError)
  assert.is(error?.code, 'UNAVAILABLE')
  assert.match(String(error?.message), /bob/)
})

const folderOfPeers = (swarm: Swarm): string => join(user.home, 'run', 'mcp-swarm', swarm.id)

scene('where nobody is, a peer that listens late shows what it knew, and is met once it listens', async () => {
  const dir = join(user.home, 'late')
  const early = await joined({ dir, name: 'late' })
  const bob = await joined({ name: 'bob' })
  await offerEcho(bob)
  await until('the tool is known', () => early.find({ tool: 'say' }).length === 1)
  await early.close()
  await bob.close()
  const late = await joined({ dir, name: 'late', listensLate: true })
  assert.equal([late.addresses(), late.isLooking, await readdir(folderOfPeers(late))], [[], false, []])
  assert.equal(late.find({ tool: 'say', all: true }).map(({ available }) => available), [false])
  const carol = await joined({ name: 'carol' })
  assert.equal(carol.peers(), [])
  await Promise.all([late.listen(), late.listen()])
  assert.is(late.addresses().length, 1)
  await Promise.all([late.joined(), carol.joined()])
  assert.is(carol.peers()[0]?.addresses[0], late.addresses()[0])
})

scene('a peer listens at once where another lives, where it shares something, and where it was told an address', async () => {
  const config = parseConfig(JSON.stringify({ mcpServers: { none: { command: process.execPath, args: ['-e', '0'] } }, swarm: { share: ['none'] } }), { path: 'mcp.json', env: {} })
  for (const options of [{ config }, { listen: ['/ip4/127.0.0.1/tcp/0'] }]) {
    const alone = await joined({ ...options, listensLate: true })
    assert.is(alone.addresses().length, 1)
    await alone.close()
  }
  await joined({ name: 'bob' })
  assert.is((await joined({ name: 'late', listensLate: true })).addresses().length, 1)
})

scene('a peer that never listened leaves in order', async () => {
  const late = await joined({ dir: join(user.home, 'never'), listensLate: true })
  await late.close()
  assert.is(await late.listen().then(() => 'listens', (error: SwarmError) => error.code), 'CLOSED')
})

scene('a second process for one data folder is told who holds it', async () => {
  const dir = join(user.home, 'held')
  await joined({ dir, name: 'first' })
  const { details, message } = await fails({ dir, name: 'second' }, 'FOLDER_IN_USE')
  assert.is((details['holder'] as { pid: number }).pid, process.pid)
  assert.match(message, /first/)
})

scene('a folder is free again after an orderly close', async () => {
  const dir = join(user.home, 'free')
  await (await joined({ dir })).close()
  await joined({ dir })
})

scene('a port in use is said to be in use, and nothing stays open', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const dir = join(user.home, 'port')
  await fails({ dir, listen: [`/ip4/127.0.0.1/tcp/${port}`] }, 'PORT_IN_USE')
  server.close()
  await once(server, 'close')
  await joined({ dir, listen: [`/ip4/127.0.0.1/tcp/${port}`] })
})

scene('an address that no transport speaks is refused', async () => {
  await fails({ listen: ['/ip4/127.0.0.1/udp/1/quic-v1'] }, 'ADDRESS_INVALID')
  await fails({ listen: ['/nonsense'] }, 'ADDRESS_INVALID')
})

scene('a key file that others may read is refused, and one that holds no key', async () => {
  const dir = join(user.home, 'exposed')
  await (await joined({ dir })).close()
  await chmod(join(dir, 'peer.key'), 0o644)
  assert.match((await fails({ dir }, 'KEY_EXPOSED')).message, /chmod 600/)
  await chmod(join(dir, 'peer.key'), 0o600)
  await writeFile(join(dir, 'peer.key'), 'rubbish')
  await fails({ dir }, 'KEY_INVALID')
})

scene('a data folder that is a file is refused', async () => {
  await mkdir(user.home, { recursive: true })
  await writeFile(join(user.home, 'file'), '')
  await fails({ dir: join(user.home, 'file') }, 'FOLDER_UNUSABLE')
})

scene('a start that fails says why, even if what was opened cannot be closed', async () => {
  const { message } = await fails({
    seams: {
      openNetwork: async ({ key }) => {
        const network = new MemoryHub().network(key)
        network.close = async () => { throw new Error('the network does not close') }
        return network
      },
      openRendezvous: async () => { throw new SwarmError('FOLDER_UNUSABLE', 'no folder to meet in') }
    }
  }, 'FOLDER_UNUSABLE')
  assert.is(message, 'no folder to meet in')
})

scene('a peer of another swarm is not let in, in either direction, and sees nothing', async () => {
  const mine = await joined({ name: 'mine' })
  const foreign = await joined({ name: 'foreign', discovery: false, seams: { swarmKey: generateKey(systemRandom) } })
  await offerEcho(mine)
  assert.not.equal(mine.id, foreign.id)
  foreign.meet(mine.peerId, mine.addresses())
  mine.meet(foreign.peerId, foreign.addresses())
  await until('both were refused', () => mine.status().refusals.length > 0 && foreign.status().refusals.length > 0, 10_000)
  assert.equal([mine.peers(), foreign.peers()], [[], []])
  assert.equal(foreign.find({ tool: 'say', all: true }), [])
  assert.ok(mine.status().refusals.every(({ code }) => ['NOT_ADMITTED', 'UNREACHABLE'].includes(code)))
})

test.run()
