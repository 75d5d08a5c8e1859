/**
 * Which of its addresses a peer tells, where there is not room for all: a machine with some virtual networks has thirty, a record
 * holds sixteen and a ticket eight. Pure.
 */
import { inTurn } from '../base/turns.ts'

/**
 * The addresses that others can reach come first and this machine's own last; of each way to be dialled the first, then of each the second,
 * and so on: whoever speaks only one of them (a page, WebSockets) finds one among the first.
 *
 * @param limit how many at most
 */
export function toldFirst (addresses: readonly string[], limit = Infinity): string[] {
  const [far, near] = [addresses.filter(address => !isLoopback(address)), addresses.filter(isLoopback)]
  return [...inTurn(byWay(far)), ...inTurn(byWay(near))].slice(0, limit)
}

function byWay (addresses: readonly string[]): string[][] {
  const ways = new Map<string, string[]>()
  for (const address of addresses) {
    const way = wayOf(address)
    ways.set(way, [...ways.get(way) ?? [], address])
  }
  return [...ways.values()]
}

/** The names of the protocols of an address: how it is dialled. */
function wayOf (address: string): string {
  return address.includes('/p2p-circuit') ? 'p2p-circuit' : address.split('/').filter((_, place) => place % 2 === 1).join('/')
}

function isLoopback (address: string): boolean {
  return /^\/(ip4\/127\.|ip6\/::1\/)/.test(address)
}
