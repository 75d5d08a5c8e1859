/** A host's script: hears what is multicast on its LAN, as anybody may. */
import { createSocket } from 'node:dgram'
import { hosted } from '../../support/hosted.ts'

/** What it keeps of it, in bytes. */
const KEPT_BYTES_MAX = 2 ** 20

const count = { packets: 0, bytes: 0 }
const kept: Buffer[] = []
const socket = createSocket({ type: 'udp4', reuseAddr: true })
socket.on('message', bytes => {
  count.packets++
  count.bytes += bytes.byteLength
  if (count.bytes <= KEPT_BYTES_MAX) kept.push(bytes)
})

hosted({
  listen: async () => { await new Promise<void>(resolve => { socket.bind(5353, () => { socket.addMembership('224.0.0.251'); resolve() }) }) },
  count: () => count,
  kept: () => kept.map(bytes => bytes.toString('latin1'))
})
