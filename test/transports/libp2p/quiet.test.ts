/** libp2p's log is heard by whoever asks for it, and costs nobody else anything. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { loggerFor } from '../../../transports/libp2p/quiet.ts'
import { programArgs } from '../../support/source.ts'

const PEERS_MS = 30_000

for (const [names, isAsked] of [
  ['', false], ['express*', false], ['app:*,db', false], ['-libp2p*', false], ['lib', false], ['net*', false], ['libp', false],
  ['libp2p*', true], ['libp2p:tcp', true], ['*', true], ['lib*', true], ['*:trace', true], ['app libp2p:yamux*', true], ['*,-libp2p:yamux*', true]
] as const) {
  test(`DEBUG=${JSON.stringify(names)} asks ${isAsked ? '' : 'not '}for libp2p's log`, () => {
    assert.is(loggerFor(names) === undefined, isAsked)
  })
}

test('a silent logger makes nothing: all of it is one', () => {
  const log = loggerFor('')?.forComponent('libp2p')
  assert.ok(log)
  assert.is(log.newScope('tcp'), log)
  assert.is(loggerFor('')?.forComponent('other'), log)
})

for (const [debug, hears] of [['libp2p*', ['libp2p:', 'libp2p:gossipsub', 'libp2p:kad-dht', 'libp2p:tcp']], ['libp2p:tcp*', ['libp2p:tcp']], ['express*', []], [undefined, []]] as const) {
  test(`peers with DEBUG=${debug ?? ''} log ${hears.length > 0 ? hears.join(', ') : 'nothing'}`, async () => {
    const { DEBUG: _ours, ...env } = process.env
    const { stdout, stderr } = await promisify(execFile)(process.execPath, programArgs(new URL('./quiet-peers.ts', import.meta.url)), {
      env: debug === undefined ? env : { ...env, DEBUG: debug }, timeout: PEERS_MS, maxBuffer: 2 ** 24
    })
    assert.is(stdout, '', 'where a client of MCP reads')
    for (const name of hears) assert.match(stderr, name)
    if (debug === 'libp2p:tcp*') assert.not.match(stderr, 'libp2p:gossipsub')
    if (hears.length === 0) assert.not.match(stderr, 'libp2p')
  })
}

test.run()
