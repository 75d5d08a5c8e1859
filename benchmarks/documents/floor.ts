/**
 * The least that an edit's way can take here: signed while it is flushed, one packet over loopback TCP, the signature checked at the other
 * process. No Yjs, no LevelDB, no witness, no encryption, no gossip.
 */
import { createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { serveVerbs, type Verbs } from '../verbs.ts'

/** Bytes of an envelope with one small change, without its signature. */
const BODY_BYTES = 160

const SIGNATURE_BYTES = 64

/** Milliseconds on the clock that all processes of this machine share. */
const wallMs = (): number => performance.timeOrigin + performance.now()

const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const found: number[] = []

const VERBS: Verbs = {
  async key () {
    return publicKey.export({ format: 'der', type: 'spki' }).toString('base64')
  },

  /** Checks what comes, signed by that key. @returns the port */
  async listen ({ key = '' }) {
    const author = createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' })
    const server = createServer({ noDelay: true }, socket => {
      socket.on('data', packet => { check(packet, author) })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  },

  /** Sends `count`, one after the other, `everyMs` apart. @param file where they are written */
  async send ({ port, file = '', count, everyMs }) {
    const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    const log = await open(file, 'wx')
    for (let number = 0; number < Number(count); number++) {
      const body = Buffer.alloc(BODY_BYTES)
      body.writeDoubleBE(wallMs())
      const flushed = log.write(body).then(async () => { await log.datasync() })
      const packet = Buffer.concat([body, sign(null, body, privateKey)])
      await flushed
      socket.write(packet)
      await new Promise(resolve => { setTimeout(resolve, Number(everyMs)) })
    }
    await log.close()
    socket.end()
  },

  /** How long each took until it was checked here; answers when that many were. */
  async latencies ({ count }) {
    while (found.length < Number(count)) await new Promise(resolve => { setTimeout(resolve, 5) })
    return found
  },

  async end () {
    setImmediate(() => { process.disconnect() })
  }
}

/** @param packet one message: they are far apart */
function check (packet: Buffer, author: KeyObject): void {
  const body = packet.subarray(0, BODY_BYTES)
  if (packet.byteLength !== BODY_BYTES + SIGNATURE_BYTES || !verify(null, body, author, packet.subarray(BODY_BYTES))) throw new Error('a packet is not as it was sent')
  found.push(wallMs() - body.readDoubleBE(0))
}

serveVerbs(VERBS)
