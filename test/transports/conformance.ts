/**
 * What every implementation of `Network` promises, as one suite run against each.
 */
import { suite } from 'uvu'
import { admission } from './conformance/admission.ts'
import { makeArena } from './conformance/arena.ts'
import type { Ground, Suite } from './conformance/arena.ts'
import { closing } from './conformance/closing.ts'
import { dialling } from './conformance/dialling.ts'
import { gossip } from './conformance/gossip.ts'
import { load } from './conformance/load.ts'
import { routing } from './conformance/routing.ts'
import { streams } from './conformance/streams.ts'

/** @returns the suite, still to be run */
export function conformance (name: string, makeGround: () => Ground): Suite {
  const test = suite(name)
  const arena = makeArena(test, makeGround)
  for (const part of [dialling, streams, load, admission, closing, gossip, routing]) part(test, arena)
  return test
}
