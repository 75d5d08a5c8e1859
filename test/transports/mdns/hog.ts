/** A host's script: keeps the port of mDNS to itself. */
import { createSocket } from 'node:dgram'
import { hosted } from '../../support/hosted.ts'

hosted({
  take: async () => { await new Promise<void>(resolve => { createSocket('udp4').bind(5353, resolve) }) }
})
