/**
 * A host's script: a former member that lies on the LAN. It makes peers up, and tells of true ones that they are elsewhere: all of
 * them at a port of its own, where it counts who dials. It does so from many addresses at once, unasked and to every question;
 * between its lies it sends what nobody can open, as an outsider would.
 */
import { createSocket, type Socket } from 'node:dgram'
import { createServer } from 'node:net'
import { systemRandom } from '../../lib/base/random.ts'
import { PUBLIC_KEY_BYTES, peerIdOf } from '../../lib/identity/key.ts'
import { seal, swarmKeyOf } from '../../transports/mdns/seal.ts'
import { writeAnswer } from '../../transports/mdns/wire.ts'
import { hosted } from '../support/hosted.ts'

const GROUP = '224.0.0.251'
const PORT = 5353
const SINK_PORT = 9
const ROUND_MS = 20
/** Peers made up: more than anybody dials in a minute. */
const MADE_UP = 500
/** Lies to one question. */
const LIES_PER_QUESTION = 8

let dialled = 0
const sink = createServer(stream => {
  dialled++
  stream.on('error', () => { stream.destroy() })
  stream.on('end', () => { stream.destroy() })
})

async function openFrom (address: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  await new Promise<void>(resolve => { socket.bind(PORT, address, resolve) })
  socket.setMulticastInterface(address)
  return socket
}

hosted({
  /** Lies for so long, so often a second. @returns how often it did, and how often it was dialled meanwhile */
  lie: async ({ swarmId, peers, sources, lastsMs, perSecond }) => {
    const key = swarmKeyOf(String(swarmId))
    const sockets = await Promise.all((sources as string[]).map(openFrom))
    if (!sink.listening) await new Promise<void>(resolve => { sink.listen(SINK_PORT, '0.0.0.0', resolve) })
    const truths = peers as string[]
    const madeUp = Array.from({ length: MADE_UP }, () => peerIdOf(systemRandom.bytes(PUBLIC_KEY_BYTES)))
    let told = 0
    const lie = (): void => {
      const nth = told++ % sockets.length
      const source = (sources as string[])[nth] ?? ''
      const label = Buffer.from(systemRandom.bytes(8)).toString('hex')
      const peerId = told % 3 === 0 ? truths[told % truths.length] ?? '' : madeUp[told % MADE_UP] ?? ''
      const said = seal(key, label, { peerId, addresses: told % 7 === 0 ? [] : [`/ip4/${source}/tcp/${SINK_PORT}`] }, systemRandom)
      const sealed = told % 2 === 0 ? said : systemRandom.bytes(200)
      sockets[nth]?.send(writeAnswer(key.tag, label, 1_200, sealed), PORT, GROUP)
    }
    const ear = createSocket({ type: 'udp4', reuseAddr: true })
    await new Promise<void>(resolve => { ear.bind(PORT, resolve) })
    ear.addMembership(GROUP, (sources as string[])[0])
    ear.on('message', (_bytes, { address }) => {
      if (!(sources as string[]).includes(address)) for (let each = 0; each < LIES_PER_QUESTION; each++) lie()
    })
    const untilMs = performance.now() + Number(lastsMs)
    while (performance.now() < untilMs) {
      for (let each = 0; each < Number(perSecond) * ROUND_MS / 1_000; each++) lie()
      await new Promise(resolve => { setTimeout(resolve, ROUND_MS) })
    }
    for (const socket of [...sockets, ear]) socket.close()
    return { told, dialled }
  },
  dialled: () => dialled
})
