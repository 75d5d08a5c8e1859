// bound: 120 s, a load
/** Real peers, one of which makes others up: on the memory network, by the real clock. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isGranted } from '../../lib/access/short-grant.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { ByteStream, Connection } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { SHOWN_MIN } from '../../lib/directory/places.ts'
import { readRecord, signRecord, type PeerRecord } from '../../lib/directory/record.ts'
import { TOLD_MAX, directoryProtocol } from '../../lib/directory/wire.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { Lab } from '../../lib/testing.ts'
import { recordOf, someKey } from '../directory/sample.ts'
import { until, within } from '../support/within.ts'

/** What comes on a stream of the directory, and a way to say something on it. */
async function talk (connection: Connection, swarmId: string): Promise<{ heard: () => string, tell: (records: readonly string[]) => void }> {
  const stream: ByteStream = await connection.open(directoryProtocol(swarmId), new AbortController().signal)
  let text = ''
  stream.read({ data: bytes => { text += new TextDecoder().decode(bytes) }, ended () {}, closed () {} })
  return {
    heard: () => text,
    tell: records => {
      for (let start = 0; start < records.length; start += TOLD_MAX) {
        stream.send(new TextEncoder().encode(`${JSON.stringify({ told: records.slice(start, start + TOLD_MAX).map(wire => [wire, 0]) })}\n`))
      }
    }
  }
}

test('where a member makes up more peers than a swarm has, each shows its grant, and nobody looks for those that have none', async () => {
  const swarmKey = generateKey(seededRandom(5))
  const lab = new Lab()
  const connections: Connection[] = []
  const openNetwork = async ({ key }: { key: { peerId: string } }): Promise<ReturnType<typeof lab.hub.network>> => {
    const network = lab.hub.network(key.peerId)
    network.onConnection(connection => { connections.push(connection) })
    return network
  }
  try {
    const alice = await lab.join('alice', { seams: { swarmKey } })
    const bob = await lab.join('bob', { seams: { swarmKey } })
    const mallory = await lab.join('mallory', { seams: { swarmKey, openNetwork } })
    await until('all know all', () => [alice, bob, mallory].every(swarm => swarm.peers().length === 2), 10_000)
    const link = connections.find(({ admitted, peerId }) => admitted && peerId === alice.peerId) as Connection
    const { heard, tell } = await talk(link, alice.id)
    const madeUp = (count: number): string[] => Array.from({ length: count }, () => {
      const key = someKey()
      return signRecord(key, recordOf(key, { name: 'nobody', addresses: [`/memory/${key.peerId}`] }), alice.id)
    })
    const shown = (): PeerRecord | undefined => heard().split('\n').filter(line => line.startsWith('{"record"'))
      .map(line => readRecord((JSON.parse(line) as { record: string }).record, alice.id)).find(({ grant }) => grant !== undefined)
    await until('alice has said who it is', () => heard().includes('{"record"'), 10_000)
    assert.is(shown(), undefined, 'nobody shows a grant without need')
    tell(madeUp(SHOWN_MIN + 200))
    await until('alice shows its grant', () => shown() !== undefined, 30_000)
    assert.ok(isGranted(shown()?.grant ?? '', swarmKey.publicKey, alice.peerId, Date.now()))
    const [late] = madeUp(1) as [string]
    const { peerId } = readRecord(late, alice.id)
    tell([late])
    await until('alice has heard of one more', () => alice.peers().some(peer => peer.peerId === peerId), 10_000)
    const status = alice.status().peers
    assert.equal(status.find(peer => peer.peerId === peerId)?.found, [], 'and does not look for it')
    const carol = await lab.join('carol', { seams: { swarmKey } })
    await until('who comes then is known to all, and sought', () => [alice, bob].every(swarm =>
      swarm.status().peers.some(peer => peer.peerId === carol.peerId && peer.found.some(({ source }) => source === 'record'))), 30_000)
    await until('and shows its grant too', () => carol.peers().length >= SHOWN_MIN, 60_000)
  } catch (error) {
    throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error }) : error
  } finally {
    await within(20_000, 'closing', lab.close())
  }
})

test.run()
