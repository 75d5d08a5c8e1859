// bound: 90 s
/** `up --announce`: a peer behind a proxy that has a certificate, as pages of https need one. */
import { connect, type AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { makeCertificate } from '../support/certificate.ts'
import { Home } from './home.ts'

const [hers, his] = [new Home(), new Home()]
const { key, cert } = makeCertificate()
let port = 0
let upgraded = 0
/** Passes on what comes, as docs/PAGES.md tells a real one to. */
const proxy = createServer({ key, cert }, socket => {
  const inner = connect(port, '127.0.0.1')
  inner.once('data', (bytes: Buffer) => { if (bytes.toString('latin1').startsWith('HTTP/1.1 101')) upgraded++ })
  socket.on('error', () => { inner.destroy() }).on('close', () => { inner.destroy() })
  inner.on('error', () => { socket.destroy() }).on('close', () => { socket.destroy() })
  socket.pipe(inner).pipe(socket)
})

test.after(async () => {
  proxy.close()
  await Promise.all([hers.close(), his.close()])
})

test('a ticket names the proxy first, and whoever joins by it comes over wss', async () => {
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const announced = `/dns4/localhost/tcp/${(proxy.address() as AddressInfo).port}/wss`
  const dir = hers.path('desk')
  assert.is((await hers.run(['init', '--dir', dir])).code, 0)
  const up = hers.start(['up', '--json', '--dir', dir, '--port', '0', '--listen', '/ip4/127.0.0.1/tcp/0/ws', '--announce', announced])
  const { addresses } = await up.event(({ event }) => event === 'ready', 'ready') as unknown as { addresses: readonly string[] }
  assert.is(addresses[0], announced)
  port = Number(addresses[1]?.split('/')[4])
  const { ticket, inviters } = JSON.parse((await hers.run(['invite', '--json', '--dir', dir])).stdout) as { ticket: string, inviters: readonly { addresses: readonly string[] }[] }
  assert.equal(inviters[0]?.addresses, addresses)
  const joined = await his.run(['join', ticket, '--json', '--dir', his.path('den')], { env: { NODE_EXTRA_CA_CERTS: his.write('ca.pem', cert) } })
  assert.is(joined.code, 0, joined.stdout)
  assert.ok(upgraded > 0, 'nothing came through the proxy')
})

test('a peer does not listen on wss itself, and says what to do instead', async () => {
  for (const listen of ['/ip4/127.0.0.1/tcp/0/wss', '/ip4/127.0.0.1/tcp/0/tls/ws']) {
    const { code, stderr } = await hers.run(['up', '--dir', hers.path('other'), '--listen', listen])
    assert.is(code, 1)
    assert.match(stderr, /ADDRESS_INVALID: listen on .*a proxy .* announce/)
  }
})

test.run()
