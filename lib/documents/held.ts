/**
 * The Y.Doc in the application's hands: whatever is done to it there, a change is told of, or its loss is.
 *
 * Yjs ends a transaction by calling its listeners one after the other, and where one throws it stops: those behind it hear nothing, and
 * of this Y.Doc nobody hears anything ever again, though it can be changed as before. So its events are told from here: all hear
 * them, and what a listener threw comes out of the transaction when that has ended, as Yjs has it of observers of types.
 */
import { SwarmError } from '../base/error.ts'
import type { YDoc } from './events.ts'

type Transaction = NonNullable<YDoc['_transaction']>

export interface Hands {
  /** Whether a transaction of that origin is ours: what it does is known. */
  readonly isOurs: (origin: unknown) => boolean
  readonly onEdit: (update: Uint8Array) => void
  /** The Y.Doc is of no use any more: CLOSED where it was destroyed, DOCUMENT_DAMAGED where Yjs could not write down what was changed. */
  readonly onLost: (why: SwarmError) => void
}

/** What is told while a transaction is under way, before Yjs is ready for the next. */
const WITHIN: ReadonlySet<string> = new Set(['beforeAllTransactions', 'beforeTransaction', 'beforeObserverCalls', 'afterTransaction', 'afterTransactionCleanup', 'update', 'updateV2', 'subdocs'])
const LAST = 'afterAllTransactions'

/**
 * Tells of all that is done to a Y.Doc from now on, in the transaction that does it.
 *
 * @returns the way to stop
 */
export function hold (doc: YDoc, { isOurs, onEdit, onLost }: Hands): () => void {
  const onUpdate = (update: Uint8Array, origin: unknown): void => { if (!isOurs(origin)) onEdit(update) }
  // Yjs writes down what a transaction did only where somebody listens then: of what comes from others, nobody has to.
  const onTransaction = ({ origin }: Transaction): void => {
    if (isOurs(origin)) doc.off('update', onUpdate)
    else doc.on('update', onUpdate)
  }
  doc.on('afterTransactionCleanup', onTransaction)
  const events = eventsOf(doc)
  events.onLost = onLost
  events.isOurs = isOurs
  return () => {
    doc.off('update', onUpdate)
    doc.off('afterTransactionCleanup', onTransaction)
    if (events.onLost === onLost) events.onLost = undefined
  }
}

/** A change that nobody would ever see must not look like one: it throws CLOSED out of the transaction that makes it. */
export function refuseChanges (doc: YDoc, why: string): void {
  eventsOf(doc).refusal = why
}

/** Whether a transaction is under way: what it changes is told when it ends, in the same turn. */
export function isChanging (doc: YDoc): boolean {
  return doc._transaction !== null || doc._transactionCleanups.length > 0
}

const known = new WeakMap<YDoc, DocEvents>()

function eventsOf (doc: YDoc): DocEvents {
  const events = known.get(doc) ?? new DocEvents(doc)
  known.set(doc, events)
  return events
}

class DocEvents {
  onLost: Hands['onLost'] | undefined
  isOurs: Hands['isOurs'] = () => false
  refusal: string | undefined
  readonly #doc: YDoc
  readonly #thrown: unknown[] = []
  #isLookedAfter = false

  constructor (doc: YDoc) {
    this.#doc = doc
    doc.emit = ((name: string, args: readonly unknown[]) => { this.#emit(name, args) }) as YDoc['emit']
  }

  #emit (name: string, args: readonly unknown[]): void {
    const isWithin = WITHIN.has(name)
    const thrown = isWithin || name === LAST ? this.#thrown : []
    for (const listener of [...this.#doc._observers.get(name) ?? []] as ((...args: readonly unknown[]) => void)[]) {
      try {
        listener(...args)
      } catch (error) {
        thrown.push(error)
      }
    }
    if (name === 'beforeAllTransactions') this.#lookAfter()
    else if (name === 'afterTransactionCleanup' && this.refusal !== undefined && this.#isEdit(args[0] as Transaction)) thrown.push(new SwarmError('CLOSED', this.refusal))
    else if (name === 'destroy') this.onLost?.(new SwarmError('CLOSED', 'its Y.Doc was destroyed'))
    if (isWithin || thrown.length === 0) return
    const [first, ...others] = thrown.splice(0)
    for (const error of others) queueMicrotask(() => { throw error }) // as any exception that nobody catches
    throw first
  }

  /** Whether a transaction is the application's, and has changed something. */
  #isEdit ({ origin, beforeState, afterState, deleteSet }: Transaction): boolean {
    return !this.isOurs(origin) && (deleteSet.clients.size > 0 || [...afterState].some(([client, clock]) => beforeState.get(client) !== clock))
  }

  /** Sees to it that no transaction outlives its turn: one that does was given up by Yjs, and would take all later ones with it. */
  #lookAfter (): void {
    if (this.#isLookedAfter) return
    this.#isLookedAfter = true
    queueMicrotask(() => {
      this.#isLookedAfter = false
      if (!isChanging(this.#doc)) return
      this.#doc._transaction = null
      this.#doc._transactionCleanups = []
      for (const error of this.#thrown.splice(0)) queueMicrotask(() => { throw error })
      this.onLost?.(new SwarmError('DOCUMENT_DAMAGED', 'Yjs could not write down a change, which is lost'))
    })
  }
}
