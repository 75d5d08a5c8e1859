/** A peer with a shared document, in a process of its own: does what its parent asks, and answers with what it measured. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { joinSwarm, type Document, type Swarm } from 'mcp-swarm'
import { Doc, applyUpdate, encodeStateAsUpdate } from 'yjs'
import { serveVerbs, type Verbs } from '../verbs.ts'

let swarm: Swarm | undefined
let document: Document | undefined

/** Milliseconds on the clock that all processes of this machine share. */
const wallMs = (): number => performance.timeOrigin + performance.now()

const VERBS: Verbs = {
  async join ({ dir, name }) {
    swarm = await joinSwarm({ dir, name })
    return swarm.peerId
  },

  async met () {
    await swarm?.joined({ timeoutMs: 10_000 })
  },

  async open ({ name = 'bench' }) {
    document = await joined().document(name)
  },

  /** Puts in `count` entries in one transaction. */
  async fill ({ count }) {
    const { ydoc } = opened()
    ydoc.transact(() => { for (let number = 0; number < Number(count); number++) ydoc.getMap('entries').set(`key ${number}`, `value ${number}`) })
    await opened().flushed()
  },

  /** Answers how long after opening it observers saw that many entries, and when what waited for them went on; in milliseconds. */
  async filled ({ name = 'bench', count }) {
    const startMs = wallMs()
    document = await joined().document(name)
    const atMs = await seen(() => opened().ydoc.getMap('entries').size >= Number(count))
    return { seenMs: atMs - startMs, tookMs: wallMs() - startMs }
  },

  /** Edits one after the other, `everyMs` apart. */
  async edits ({ count, everyMs }) {
    for (let number = 0; number < Number(count); number++) {
      opened().ydoc.getMap('edits').set('last', wallMs())
      await new Promise(resolve => { setTimeout(resolve, Number(everyMs)) })
    }
    opened().ydoc.getMap('edits').set('last', 0)
  },

  /** Answers how long each edit of another took until it was seen here. */
  async latencies () {
    const found: number[] = []
    const { ydoc } = opened()
    await new Promise<void>(resolve => {
      ydoc.getMap('edits').observe(() => {
        const sentMs = ydoc.getMap('edits').get('last') as number
        if (sentMs === 0) resolve()
        else found.push(wallMs() - sentMs)
      })
    })
    return found
  },

  /** So many updates, each a transaction of its own; answers when the first was made. */
  async burst ({ count, list }) {
    const startMs = wallMs()
    // Letters: of single numbers in a list, Yjs copies all of those before with each.
    const text = opened().ydoc.getText(list)
    for (let number = 0; number < Number(count); number++) text.insert(number, 'x')
    return startMs
  },

  /** Answers at what time there were so many letters in the text, here. */
  async length ({ count, list }) {
    await seen(() => opened().ydoc.getText(list).length >= Number(count))
    return wallMs()
  },

  /** Answers how long Yjs alone takes to write the document down and to read it into another. */
  async alone () {
    const startMs = wallMs()
    applyUpdate(new Doc(), encodeStateAsUpdate(opened().ydoc))
    return wallMs() - startMs
  },

  async flushed () {
    await opened().flushed()
    return wallMs()
  },

  async synced () {
    await opened().synced({ timeoutMs: 60_000 })
    return wallMs()
  },

  async state () {
    return JSON.stringify(opened().get()).length
  },

  async status () {
    return opened().status()
  },

  async watch () {
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    longest = () => delay.max / 1e6
  },

  async longest () {
    return longest()
  },

  async end () {
    await swarm?.close()
    setImmediate(() => { process.disconnect() })
  }
}

let longest = (): number => 0

/** @returns when a claim first held, on the shared clock */
async function seen (claim: () => boolean): Promise<number> {
  const { ydoc } = opened()
  return await new Promise<number>(resolve => {
    const look = (): void => {
      if (!claim()) return
      ydoc.off('afterTransaction', look)
      resolve(wallMs())
    }
    ydoc.on('afterTransaction', look) // when its own observers are told
    look()
  })
}

function joined (): Swarm {
  if (swarm === undefined) throw new Error('not joined')
  return swarm
}

function opened (): Document {
  if (document === undefined) throw new Error('no document')
  return document
}

serveVerbs(VERBS)
