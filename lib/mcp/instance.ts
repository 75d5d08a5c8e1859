/** A server made with the SDK in this process, v1 or v2, reached without leaving it. */
import { InMemoryTransport } from '@modelcontextprotocol/client'
import { McpServer, Server } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { InstanceSource, Link } from './link.ts'

/**
 * A v2 instance is served in whichever revision is asked for; `serveStdio` is what does that, over any transport. A v1
 * instance, or one of another copy of v2, connects by itself and speaks a revision of 2025.
 *
 * @throws what the instance throws if it is connected already
 */
export async function openInstance (source: InstanceSource): Promise<Link> {
  const [ours, theirs] = InMemoryTransport.createLinkedPair()
  if (source instanceof McpServer || source instanceof Server) {
    if ((source instanceof McpServer ? source.server : source).transport !== undefined) throw new Error('this server instance is connected to a transport already')
    serveStdio(() => source, { transport: theirs })
  } else {
    await source.connect(theirs as never)
  }
  return { transport: ours, trouble: () => undefined }
}
