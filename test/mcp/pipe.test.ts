import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Pipe } from '../../lib/mcp/pipe.ts'
import { clock, within } from './parts.ts'
import { ScriptedAgent, serving, text } from './wire-parts.ts'

test('a call brings the tool\'s own result', async () => {
  const agent = new ScriptedAgent({ echo: call => text(JSON.stringify(call.arguments)) })
  const pipe = new Pipe(serving(agent).open(), { agent: 'notes', clock })
  assert.equal(await within(pipe.call('echo', '{"a":1}'), 'an answer'), text('{"a":1}'))
  pipe.close()
})

test.run()
