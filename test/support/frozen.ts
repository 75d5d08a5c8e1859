/**
 * Frozen lines of a protocol, in test/fixtures/protocol: `who <what was sent>`, in the order of sending for each `who`; `#` begins
 * a remark. The words of an error's message are for people and no part of the protocol: they stand as `…`.
 */
import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { swarmIdOf } from '../../lib/access/grant.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { JsonObject } from '../../lib/base/json.ts'
import { keyFromSeed, type PrivateKey } from '../../lib/identity/key.ts'
import { linkedStreams, type PairedStream } from './pair.ts'

const key = (fill: number): PrivateKey => keyFromSeed(new Uint8Array(32).fill(fill))
export const [swarmKey, alice, bob, stranger] = [key(1), key(3), key(4), key(5)] as const
export const SWARM = swarmIdOf(swarmKey.publicKey)

export type Sent = readonly (readonly [who: string, line: string])[]

export function frozen (name: string): Sent {
  const lines = readFileSync(new URL(`../fixtures/protocol/${name}.txt`, import.meta.url), 'utf8').split('\n')
  return lines.filter(line => line !== '' && !line.startsWith('#')).map(line => {
    const [who = ''] = line.split(' ', 1)
    return [who, line.slice(who.length + 1)] as const
  })
}

/** The lines of one end, in order. */
export const by = (who: string, sent: Sent): string[] => sent.filter(([speaker]) => speaker === who).map(([, line]) => line)
export const one = (who: string, sent: Sent): string => by(who, sent)[0] ?? ''
export const parsed = (line: string): JsonObject => JSON.parse(line) as JsonObject

function same (written: Sent, name: string): void {
  const expected = frozen(name)
  assert.ok(expected.length > 0, `${name} is empty`)
  for (const who of new Set([...written, ...expected].map(([speaker]) => speaker))) assert.equal(by(who, written), by(who, expected), `${name}: ${who}`)
}

/** Freezes a conversation: what `speak` gives equals the fixture of that name. */
export function freeze (name: string, speak: () => Sent | Promise<Sent>): void {
  check(`${name}: today's code writes these bytes`, async () => { same(await speak(), name) })
}

export function check (name: string, body: () => void | Promise<void>): void {
  test(name, async () => {
    try {
      await body()
    } catch (error) {
      // uvu takes `details` for its own and prints nothing at all when they are no text.
      throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error }) : error
    }
  })
}

/** Both ends of a stream, and everything either sent, line by line. */
export function streams (near: string, far: string, sent: [string, string][] = []): { ends: [PairedStream, PairedStream], sent: [string, string][] } {
  const ends = linkedStreams('/test')
  for (const [index, who] of [near, far].entries()) {
    const end = ends[index] as PairedStream
    const send = end.send.bind(end)
    end.send = bytes => {
      const chunk = new TextDecoder().decode(bytes)
      assert.ok(chunk.endsWith('\n'), `a chunk ends its line: ${chunk}`)
      sent.push(...chunk.slice(0, -1).split('\n').map((line): [string, string] => [who, line]))
      return send(bytes)
    }
  }
  return { ends, sent }
}

export function plain (line: string): string {
  return line.replaceAll(/"message":"(?:[^"\\]|\\.)*"/g, '"message":"…"')
}
