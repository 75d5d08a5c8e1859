/**
 * A process that edits documents in a folder until it is killed, and says over its output what is durable: lines `document sequence`.
 * What it writes can be checked from the outside: edit n of a document sets key n modulo KEYS to n.
 *
 *     writer.ts FOLDER [edits]     ends by itself after so many edits of each document, closing nothing
 *     writer.ts --bare FOLDER      the control of the power-cut run: writes a file by write and fdatasync alone
 */
import { fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import * as Y from 'yjs'
import { documentOf, openFolder, DOCUMENTS, KEYS } from './folder.ts'

const STDOUT = 1
/** Edits of one turn, and of how many a document's log is folded. */
const EDITS_AT_ONCE = 20
const FOLD_EVERY = 700

const [first = '', second] = process.argv.slice(2)
if (first === '--bare') bare(second ?? '')
else await write(first, second === undefined ? Infinity : Number(second))

function bare (folder: string): void {
  const file = openSync(join(folder, 'bare'), 'a')
  const count = new Uint8Array(8)
  for (let sequence = 1; ; sequence++) {
    new DataView(count.buffer).setFloat64(0, sequence)
    writeSync(file, count)
    fdatasyncSync(file)
    writeSync(STDOUT, `bare ${sequence}\n`)
  }
}

async function write (folder: string, edits: number): Promise<void> {
  const { opened } = await openFolder(folder)
  await Promise.all(DOCUMENTS.map(async (name, index) => {
    const { wal, recovery } = opened[index] as typeof opened[number]
    if (recovery.damage.length > 0) throw new Error(`${name} is damaged: ${JSON.stringify(recovery.damage)}`)
    const document = documentOf(opened[index] as typeof opened[number])
    document.on('update', (update: Uint8Array) => { wal.append(update, '') })
    wal.onDurable(sequence => { writeSync(STDOUT, `${name} ${sequence}\n`) })
    const end = wal.status().sequence + edits
    for (let number = wal.status().sequence + 1; number <= end; number++) {
      document.getMap('m').set(`k${number % KEYS}`, number)
      if (number % FOLD_EVERY === 0) void wal.compact(async folding => {
        const folded = new Y.Doc()
        if (folding.snapshot !== undefined) Y.applyUpdate(folded, folding.snapshot)
        for (const update of folding.updates) Y.applyUpdate(folded, update)
        return Y.encodeStateAsUpdate(folded)
      })
      if (number % EDITS_AT_ONCE === 0) await wal.flushed()
    }
    await wal.flushed()
  }))
  process.kill(process.pid, 'SIGKILL') // as a crash, not as a close
}
