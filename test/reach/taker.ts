/** A host's script: another program, which listens on ports. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { hosted } from '../support/hosted.ts'

hosted({
  take: async ({ port }) => {
    const server = createServer().listen(Number(port), '0.0.0.0')
    await once(server, 'listening')
  }
})
