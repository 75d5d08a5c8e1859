import type { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../../lib/base/error.ts'
import type { ErrorCode } from '../../../lib/base/error.ts'
import type { ByteStream, Connection, Network } from '../../../lib/base/network.ts'
import { within } from '../../support/within.ts'

/** One implementation under test. */
export interface Ground {
  /** Opens the network of a new peer, which can reach every other of this ground. */
  open (): Promise<Network>
  /** An address in this implementation's form at which nobody answers. */
  readonly deadAddress: string
}

/** How long closing what one test opened may take, in milliseconds: a second on a machine with eight times the load it can do. */
const CLOSING_MS_MAX = 30_000

export type Suite = ReturnType<typeof suite>

/** Two peers with one connection, seen from both. */
export interface Pair { readonly a: Network, readonly b: Network, readonly toB: Connection, readonly toA: Connection }

/** What the tests of one suite share: a fresh ground for each, whose networks are closed after it. */
export interface Arena {
  readonly open: () => Promise<Network>
  /** Both ends admitted unless told otherwise. */
  readonly pair: (admit?: boolean) => Promise<Pair>
  readonly deadAddress: () => string
}

/** A signal that never fires, fresh each time: Node warns of many listeners on one. */
export const never = (): AbortSignal => new AbortController().signal

export function makeArena (test: Suite, makeGround: () => Ground): Arena {
  let ground = makeGround()
  let networks: Network[] = []
  test.before.each(() => {
    ground = makeGround()
    networks = []
  })
  test.after.each(async () => {
    await within(CLOSING_MS_MAX, 'closing every network', Promise.all(networks.map(async network => { await network.close() }))).catch((error: unknown) => {
      console.log('note: after a test:', error) // uvu tells nothing of what a hook throws
      throw error
    })
  })
  const open = async (): Promise<Network> => {
    const network = await ground.open()
    networks.push(network)
    return network
  }
  const pair = async (admit = true): Promise<Pair> => {
    const [a, b] = [await open(), await open()]
    const arrived = new Promise<Connection>(resolve => { b.onConnection(resolve) })
    const toB = await within(5_000, 'dial', a.dial(b.peerId, b.addresses(), never()))
    const toA = await within(5_000, 'the inbound end', arrived)
    if (admit) {
      toA.admit()
      toB.admit()
    }
    return { a, b, toB, toA }
  }
  return { open, pair, deadAddress: () => ground.deadAddress }
}

/** The first stream of a protocol that a peer is asked to serve. */
export async function serving (network: Network, protocol: string, beforeAdmission = false): Promise<ByteStream> {
  return await new Promise(resolve => { network.handle(protocol, resolve, { beforeAdmission }) })
}

/** UTF-8 bytes as text. */
export function text (bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

/** Whether something is a SwarmError of that code. */
export function isError (code: ErrorCode): (error: unknown) => boolean {
  return error => error instanceof SwarmError && error.code === code
}

/** Waits for work to fail with that code and message. */
export async function fails (code: ErrorCode, message: RegExp, work: Promise<unknown>): Promise<void> {
  await within(8_000, `${code} ${message}`, work.then(() => assert.unreachable(`not ${code} ${message}`), (error: unknown) => {
    assert.ok(isError(code)(error), `${String(error)} instead of ${code}`)
    assert.match((error as Error).message, message)
  }))
}
