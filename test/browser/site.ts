/** A site on this machine: the page's script, bundled from the source as an application would bundle it, under a strict policy. */
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { browserBuild } from '../../scripts/build.ts'

const HTML = '<!doctype html><meta charset="utf-8"><title>A peer</title><link rel="icon" href="data:,"><script type="module" src="/app.js"></script>'

/** No inline script and no eval; from elsewhere nothing but WebSockets of this machine. */
const POLICY = 'default-src \'none\'; script-src \'self\'; img-src data:; connect-src ws://127.0.0.1:*'

export interface Site {
  readonly url: string
  close (): Promise<void>
}

export async function openSite (): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'swarm-site-'))
  await build({
    ...browserBuild, entryPoints: { app: fileURLToPath(new URL('page/app.ts', import.meta.url)) }, outdir: folder,
    external: [], // Yjs as well: an application has its own copy
    sourcemap: false, define: { 'process.env': '{}' }
  })
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
      await rm(folder, { recursive: true, force: true })
    }
  }
}
