import { CODE_P2P, CODE_P2P_CIRCUIT, multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { SwarmError } from '../../lib/base/error.ts'

/** Addresses of one peer tried in one dial; further ones are left out. */
export const ADDRESSES_MAX = 16

/** Longest multiaddr read, in characters. */
const ADDRESS_CHARACTERS_MAX = 512

/**
 * Reads an address from outside.
 *
 * @throws SwarmError ADDRESS_INVALID if it is no multiaddr, or names a socket file: a record must not make us speak to those
 */
export function readAddress (text: string): Multiaddr {
  if (text.length > ADDRESS_CHARACTERS_MAX) throw new SwarmError('ADDRESS_INVALID', `an address of ${text.length} characters; limit ${ADDRESS_CHARACTERS_MAX}`)
  let address: Multiaddr
  try {
    address = multiaddr(text)
  } catch (cause) {
    throw new SwarmError('ADDRESS_INVALID', `${JSON.stringify(text)} is no multiaddr`, { cause })
  }
  const [first] = address.getComponents()
  if (first === undefined || first.name === 'unix') throw new SwarmError('ADDRESS_INVALID', `${JSON.stringify(text)} is no network address`)
  return address
}

/** An address without the `/p2p/…` at its end. */
export function withoutPeer (address: Multiaddr): string {
  const text = address.toString()
  const tail = address.getComponents().at(-1)
  return tail?.code === CODE_P2P ? text.slice(0, text.lastIndexOf('/p2p/')) : text
}

/** The peer an address names at its end, if any. */
export function peerNamedBy (address: Multiaddr): string | undefined {
  const tail = address.getComponents().at(-1)
  return tail?.code === CODE_P2P ? tail.value : undefined
}

/** Whether an address leads through another peer. */
export function isRelayed (address: Multiaddr): boolean {
  return address.getComponents().some(({ code }) => code === CODE_P2P_CIRCUIT)
}

/** Whether an address is that of a WebSocket under TLS, in either spelling. */
export function isSecureWebSocket (address: Multiaddr): boolean {
  const names = address.getComponents().map(({ name }) => name)
  return names.includes('wss') || (names.includes('tls') && names.includes('ws'))
}
