/** A site on this machine: the page's script, bundled from the source as an application would bundle it, under a strict policy. */
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildSite } from '../../scripts/bundle.ts'

const HTML = '<!doctype html><meta charset="utf-8"><title>A peer</title><link rel="icon" href="data:,"><script type="module" src="/app.js"></script>'

/** No inline script and no eval; from elsewhere nothing but WebSockets of this machine. */
const POLICY = 'default-src \'none\'; script-src \'self\'; img-src data:; connect-src ws://127.0.0.1:*'

export interface Site {
  readonly url: string
  close (): Promise<void>
}

/** `npm test` has built the script, for every file at once. */
export async function openSite (): Promise<Site> {
  const { MCP_SWARM_TEST_SITE: ready } = process.env
  const folder = ready ?? await mkdtemp(join(tmpdir(), 'swarm-site-'))
  if (ready === undefined) await buildSite(folder)
  const scripts = new Set((await readdir(folder)).map(name => `/${name}`))
  const server = createServer(({ url = '/' }, response) => {
    response.setHeader('content-security-policy', POLICY)
    if (scripts.has(url)) {
      response.setHeader('content-type', 'text/javascript')
      createReadStream(join(folder, url)).pipe(response)
    } else {
      response.statusCode = url === '/' ? 200 : 404
      response.setHeader('content-type', 'text/html')
      response.end(url === '/' ? HTML : '')
    }
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => { server.close(resolve) })
      if (ready === undefined) await rm(folder, { recursive: true, force: true })
    }
  }
}
