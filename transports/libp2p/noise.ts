/**
 * Noise, quicker with what is short.
 *
 * By itself it hands on a message behind its length, in two pieces, and libp2p's transports make of each piece a system call and a
 * packet: the other end is woken for two bytes, and again for the message. And after each packet it reads it throws an error at the
 * next length, which has not come yet: with its stack that takes longer than to decrypt the packet.
 */
import type { ConnectionEncrypter, MessageStream } from '@libp2p/interface'
import { noise, type ICryptoInterface } from '@libp2p/noise'
import type { Components } from './guard.ts'

/** Longer than any message: what is read then waits for more. */
const NOT_YET = 2 ** 16

/** What has come of a connection and is not decrypted. */
interface Received { readonly byteLength: number, getUint16: (at: number) => number }

/** The part of Noise's connections that this changes; the package has it, and does not declare it. */
interface Secured { readonly decoder: { lengthDecoder: (received: Received) => number } }

/** @param crypto its arithmetic; default the package's own */
export function promptNoise (crypto: ICryptoInterface | undefined): (components: Components) => ConnectionEncrypter {
  const make = noise(crypto === undefined ? {} : { crypto })
  return components => {
    const encrypter: ConnectionEncrypter = make(components)
    const [inbound, outbound] = [encrypter.secureInbound.bind(encrypter), encrypter.secureOutbound.bind(encrypter)]
    encrypter.secureInbound = async (socket, options) => calm(await inbound(whole(socket), options))
    encrypter.secureOutbound = async (socket, options) => calm(await outbound(whole(socket), options))
    return encrypter
  }
}

/** To copy some KiB costs far less than a system call. */
function whole (socket: MessageStream): MessageStream {
  const send = socket.send.bind(socket)
  socket.send = data => send(data instanceof Uint8Array ? data : data.subarray())
  return socket
}

function calm<Result extends { readonly connection: MessageStream }> (secured: Result): Result {
  const { decoder } = secured.connection as unknown as Secured
  decoder.lengthDecoder = received => received.byteLength < 2 ? NOT_YET : received.getUint16(0)
  return secured
}
