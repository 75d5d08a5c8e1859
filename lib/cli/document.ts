/** What the `doc` commands ask about shared documents, answered by the swarm of this process. */
import { SwarmError, sleep, systemClock, type Document, type Json, type Swarm } from 'mcp-swarm'
import { LINE_BYTES_MAX } from './lines.ts'
import type { AskOptions, DocumentQuestion } from './request.ts'

/** How long a document that was just opened waits for another peer that has it, and a change until one has it on disk, in milliseconds. */
export const SYNC_MS_MAX = 1_500

/** Documents kept open for others after a command has used them; the one opened first is closed for a further one. */
export const KEPT_MAX = 1_000

/** Largest value that is set, or told, in bytes of its JSON: what stands around it in a line takes the rest. */
export const VALUE_BYTES_MAX = LINE_BYTES_MAX - 64 * 1024

/** What `doc get` is told. */
export interface Got { readonly found: boolean, readonly value: Json | null }

/** What `doc set` is told. */
export interface Put { readonly name: string, readonly path: string, readonly flushed: true, readonly synced: boolean, readonly peers: number }

const kept = new WeakMap<Swarm, Map<string, Promise<Document>>>()

/** @throws SwarmError as `swarm.document` and the document's own methods */
export async function answerDocument (swarm: Swarm, question: DocumentQuestion, { signal, changed }: AskOptions): Promise<unknown> {
  const document = await keep(swarm, question.name)
  switch (question.do) {
    case 'doc-get': return read(document, question.path)
    case 'doc-set': return await write(swarm, document, question, signal)
    case 'doc-watch': return await watch(swarm, question, signal, changed)
  }
}

/** Opens the documents on disk, so that others find them here. */
export async function keepAll (swarm: Swarm): Promise<void> {
  for (const { name } of (await swarm.documents()).slice(0, KEPT_MAX)) if (name !== undefined) await keep(swarm, name, 0)
}

/** A document that stays open while this process lives: others take from it what they lack. */
async function keep (swarm: Swarm, name: string, waitMs = SYNC_MS_MAX): Promise<Document> {
  const documents = kept.get(swarm) ?? new Map<string, Promise<Document>>()
  kept.set(swarm, documents)
  const known = documents.get(name)
  if (known !== undefined) return await known
  const [oldest] = documents
  if (oldest !== undefined && documents.size >= KEPT_MAX) {
    documents.delete(oldest[0])
    await (await oldest[1]).close()
  }
  const opening = open(swarm, name, waitMs)
  documents.set(name, opening)
  try {
    return await opening
  } catch (error) {
    documents.delete(name)
    throw error
  }
}

async function open (swarm: Swarm, name: string, waitMs: number): Promise<Document> {
  const document = await swarm.document(name)
  if (waitMs > 0 && swarm.peers().length > 0) await isSynced(document, waitMs)
  return document
}

/** Whether another peer has confirmed to have all, or given what was missing here. */
async function isSynced (document: Document, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
  try {
    await document.synced({ peers: 1, timeoutMs, signal })
    return true
  } catch (error) {
    if (error instanceof SwarmError && error.code === 'TIMEOUT') return false
    throw error
  }
}

function read (document: Document, path: string): Got {
  const value = document.get(path)
  checkSize(document.name, value)
  return { found: value !== undefined, value: value ?? null }
}

async function write (swarm: Swarm, document: Document, { name, path, value }: DocumentQuestion & { do: 'doc-set' }, signal: AbortSignal): Promise<Put> {
  checkSize(name, value)
  document.set(path, value)
  await document.flushed()
  const synced = swarm.peers().length > 0 && await isSynced(document, SYNC_MS_MAX, signal)
  return { name, path, flushed: true, synced, peers: document.status().peers.length }
}

/** Tells what stands at a path now, and after every change of it, until the signal; what changes faster than it is read is told once. */
async function watch (swarm: Swarm, { name, path }: DocumentQuestion & { do: 'doc-watch' }, signal: AbortSignal, changed: AskOptions['changed']): Promise<null> {
  await using document = await swarm.document(name)
  let said: string | undefined
  let wake = (): void => {}
  const look = (): void => { wake() }
  let ydoc = document.ydoc
  ydoc.on('update', look)
  document.on('replaced', event => {
    ydoc = event.ydoc
    ydoc.on('update', look)
    look()
  })
  signal.addEventListener('abort', look)
  try {
    while (!signal.aborted) {
      const news = new Promise<void>(resolve => { wake = resolve })
      const value = document.get(path)
      checkSize(name, value)
      const text = JSON.stringify(value ?? null)
      if (text !== said) await changed?.({ name, path, value: value ?? null })
      said = text
      await news
      await sleep(systemClock, 0)
    }
  } finally {
    ydoc.off('update', look) // others may hold it longer
  }
  return null
}

function checkSize (name: string, value: Json | undefined): void {
  const bytes = Buffer.byteLength(JSON.stringify(value ?? null))
  if (bytes > VALUE_BYTES_MAX) throw new SwarmError('TOO_LARGE', `the value in document ${JSON.stringify(name)} has ${bytes} bytes as JSON; limit ${VALUE_BYTES_MAX}: name a PATH further in`)
}
