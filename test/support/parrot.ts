/** What a host can do on its networks, for the test of the rig: hears, sends, dials, and says what interfaces it sees. */
import { createSocket } from 'node:dgram'
import { createServer, connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { hosted, tell } from './hosted.ts'

const GROUP = '224.0.0.251'
const PORT = 5353

const socket = createSocket({ type: 'udp4', reuseAddr: true })
socket.on('message', (bytes, from) => { tell('heard', { text: bytes.toString(), from: from.address }) })
const server = createServer(stream => { stream.on('error', () => { stream.destroy() }).end(String(stream.remoteAddress)) })

hosted({
  listen: async () => {
    await new Promise<void>(resolve => { socket.bind(PORT, () => { socket.addMembership(GROUP); resolve() }) })
    await new Promise<void>(resolve => { server.listen(7000, '0.0.0.0', resolve) })
  },
  send: async ({ text }) => await new Promise<void>((resolve, reject) => {
    socket.send(String(text), PORT, GROUP, error => { if (error === null) resolve(); else reject(error) })
  }),
  // Says by which address the other end knows us.
  dial: async ({ address }) => await new Promise<string>((resolve, reject) => {
    const stream = connect({ port: 7000, host: String(address), timeout: 1_500 })
    stream.once('error', reject).once('timeout', () => { stream.destroy(new Error('no answer')) })
    stream.setEncoding('utf8').once('data', resolve)
  }),
  interfaces: () => Object.entries(networkInterfaces()).flatMap(([name, all]) => (all ?? []).filter(({ family }) => family === 'IPv4').map(({ address }) => `${name} ${address}`)),
  folders: () => [process.env['HOME'], process.env['MCP_SWARM_DISCOVERY']]
})
