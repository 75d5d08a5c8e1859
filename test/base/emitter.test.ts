import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Emitter } from '../../lib/base/emitter.ts'

interface Events { joined: string, left: number }

test('tells the listeners of that event, in order', () => {
  const emitter = new Emitter<Events>()
  const heard: string[] = []
  emitter.on('joined', name => heard.push(`first ${name}`))
  emitter.on('joined', name => heard.push(`second ${name}`))
  emitter.on('left', count => heard.push(`left ${count}`))
  emitter.emit('joined', 'alice')
  emitter.emit('left', 2)
  assert.equal(heard, ['first alice', 'second alice', 'left 2'])
})

test('one that stopped hears nothing more, also in the middle of an event', () => {
  const emitter = new Emitter<Events>()
  const heard: string[] = []
  emitter.on('joined', () => { stop() })
  const stop = emitter.on('joined', name => heard.push(name))
  emitter.emit('joined', 'alice')
  assert.equal(heard, [])
})

test('one function that listens twice hears twice, and stops once at a time', () => {
  const emitter = new Emitter<Events>()
  let heard = 0
  const listener = (): void => { heard++ }
  const stop = emitter.on('joined', listener)
  emitter.on('joined', listener)
  emitter.emit('joined', 'alice')
  stop()
  stop()
  emitter.emit('joined', 'bob')
  assert.is(heard, 3)
})

test('one that starts during an event hears from the next on', () => {
  const emitter = new Emitter<Events>()
  const heard: string[] = []
  const stop = emitter.on('joined', () => {
    stop()
    emitter.on('joined', name => heard.push(name))
  })
  emitter.emit('joined', 'alice')
  emitter.emit('joined', 'bob')
  assert.equal(heard, ['bob'])
})

test('one that throws keeps nobody else from hearing, and surfaces', async () => {
  const emitter = new Emitter<Events>()
  const heard: string[] = []
  emitter.on('joined', () => { throw new Error('bug: here') })
  emitter.on('joined', name => heard.push(name))
  const uncaught = new Promise<Error>(resolve => { process.once('uncaughtException', resolve) })
  emitter.emit('joined', 'alice')
  assert.equal(heard, ['alice'])
  assert.is((await uncaught).message, 'bug: here')
})

test.run()
