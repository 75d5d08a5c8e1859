// bound: 180 s
import { conformance } from './conformance.ts'
import { openPeer } from './libp2p/peers.ts'
import { systemClock } from '../../lib/base/clock.ts'

conformance('libp2p over WebSocket', () => ({
  open: async () => await openPeer(systemClock, ['/ip4/127.0.0.1/tcp/0/ws']),
  deadAddress: '/ip4/127.0.0.1/tcp/1/ws'
})).run()
