/** A host's script: finds peers by mDNS, and tells what it is told. */
import { systemClock } from '../../../lib/base/clock.ts'
import type { Discovery } from '../../../lib/base/discovery.ts'
import { systemRandom } from '../../../lib/base/random.ts'
import { openMdns } from '../../../transports/mdns/open.ts'
import { hosted, tell } from '../../support/hosted.ts'

const all = new Map<string, Discovery>()

hosted({
  open: async ({ peerId, swarmId }) => {
    if (openMdns === undefined) throw new Error('no mDNS here')
    all.set(String(peerId), await openMdns({
      swarmId: String(swarmId), peerId: String(peerId), clock: systemClock, random: systemRandom,
      onFound: (found, addresses) => { tell('found', { by: peerId, peerId: found, addresses }) },
      onGone: gone => { tell('gone', { by: peerId, peerId: gone }) },
      onTrouble: error => { tell('trouble', { by: peerId, code: error?.code, message: error?.message, details: error?.details }) }
    }))
  },
  announce: ({ peerId, addresses }) => { all.get(String(peerId))?.announce(addresses as string[]) },
  refresh: ({ peerId }) => { all.get(String(peerId))?.refresh() },
  close: async ({ peerId }) => { await all.get(String(peerId))?.close() }
}, async () => { await Promise.all([...all.values()].map(async discovery => { await discovery.close() })) })
