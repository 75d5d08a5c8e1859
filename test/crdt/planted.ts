/** Mistakes that the simulation has to notice: each is one that a careful person could make in the cores or their driver. */
import * as Y from 'yjs'
import { readEnvelope } from '../../crdt/envelope.ts'
import { readMessage, writeMessage, type DocumentMessage } from '../../crdt/message.ts'
import { REBUILT_ORIGIN, Replica, type Effect, type ReplicaOptions, type Verdict } from '../../crdt/replica.ts'
import type { Digest } from '../../crdt/digest.ts'
import type { Bug } from '../../lib/simulate/bug.ts'
import type { Kind } from '../../lib/simulate/outcome.ts'
import { sha256 } from '#hash'

export interface Planted {
  readonly name: string
  readonly bug: Bug
  /** The kind of world it shows in; ordinary by default. */
  readonly kind?: Kind
  /** The seed to begin with, for a bug that shows seldom. */
  readonly from?: number
}

interface Heard { verdict: Verdict, effects: Effect[] }

/** A replica that gives Yjs what it finds, and appends what Yjs says is new. */
class Careless extends Replica {
  protected readonly given: ReplicaOptions

  constructor (options: ReplicaOptions) {
    super(options)
    this.given = options
  }

  /** Applies updates outside the core's rules, as an edit: what the core appends and publishes then is theirs. */
  protected applyAnyhow (updates: readonly Uint8Array[]): void {
    for (const update of updates) {
      try {
        Y.applyUpdate(this.doc, update, 'careless')
      } catch (error) {
        if (!(error instanceof Error)) throw error
      }
    }
  }
}

class WithoutGapCheck extends Careless {
  override received (from: string, bytes: Uint8Array, nowMs: number): Heard {
    this.applyAnyhow(readEnvelope(bytes, this.given.swarmId, this.given.verify).updates)
    return super.received(from, bytes, nowMs)
  }
}

class WithoutAuthorCheck extends Careless {
  override received (from: string, bytes: Uint8Array, nowMs: number): Heard {
    const heard = super.received(from, bytes, nowMs)
    const isStolen = heard.effects.some(effect => effect.kind === 'refused' && effect.error.code === 'FORBIDDEN')
    if (isStolen) this.applyAnyhow(readEnvelope(bytes, this.given.swarmId, this.given.verify).updates)
    return heard
  }
}

class WithoutStrictReading extends Careless {
  override received (from: string, bytes: Uint8Array, nowMs: number): Heard {
    const heard = super.received(from, bytes, nowMs)
    const isMalformed = heard.effects.some(effect => effect.kind === 'refused' && effect.error.code === 'MALFORMED')
    if (isMalformed) this.applyAnyhow(readEnvelope(bytes, this.given.swarmId, this.given.verify).updates)
    return heard
  }
}

class OfVectorsOnly extends Replica {
  override get digest (): Digest {
    const hash = sha256(Y.encodeStateVector(new Map([...Y.decodeStateVector(Y.encodeStateVector(this.doc))].sort(([left], [right]) => left - right)))).subarray(0, 16)
    return { shape: hash, content: hash }
  }
}

/** A digest put off until somebody asks, and then only if a clock was added: a transaction that only deletes goes unseen. */
class OfOldDigest extends Replica {
  #known: { readonly vector: string, readonly digest: Digest } | undefined

  override get digest (): Digest {
    const vector = Buffer.from(Y.encodeStateVector(this.doc)).toString('base64')
    if (this.#known?.vector !== vector) this.#known = { vector, digest: super.digest }
    return this.#known.digest
  }
}

/** A peer with nothing takes what comes first as it is, as if it had to be the beginning. */
class OfFastStart extends Careless {
  override received (from: string, bytes: Uint8Array, nowMs: number): Heard {
    if (this.doc.store.clients.size === 0) this.applyAnyhow(readEnvelope(bytes, this.given.swarmId, () => true).updates)
    return super.received(from, bytes, nowMs)
  }
}

/** Answers each peer with what it once made for that peer, though its log has gone on. */
class ServesKept extends Replica {
  readonly #kept = new Map<string, Uint8Array>()

  override message (from: string, message: DocumentMessage, nowMs: number): Effect[] {
    return super.message(from, message, nowMs).map(effect => {
      if (effect.kind !== 'send' || effect.message.kind !== 'have') return effect
      const update = this.#kept.get(effect.to) ?? effect.message.update
      this.#kept.set(effect.to, update)
      return { ...effect, message: { ...effect.message, update } }
    })
  }
}

class OfShapesOnly extends Replica {
  override get digest (): Digest {
    const { shape } = super.digest
    return { shape, content: shape }
  }
}

class Forgetful extends Replica {
  override received (from: string, bytes: Uint8Array, nowMs: number): Heard {
    const { verdict, effects } = super.received(from, bytes, nowMs)
    return { verdict, effects: effects.filter(({ kind }) => kind !== 'pull') }
  }
}

class WithoutMerge extends Replica {
  override message (from: string, message: DocumentMessage, nowMs: number): Effect[] {
    return message.kind === 'state' ? [] : super.message(from, message, nowMs)
  }
}

/** Does not hear how far it has written itself, as others know. */
class DeafToItself extends Replica {
  override message (from: string, message: DocumentMessage, nowMs: number): Effect[] {
    if (!('vector' in message)) return super.message(from, message, nowMs)
    const vector = Y.decodeStateVector(message.vector)
    vector.delete(this.client)
    return super.message(from, { ...message, vector: Y.encodeStateVector(vector) }, nowMs)
  }
}

const sent = (change: (message: DocumentMessage & { key: string }) => DocumentMessage): NonNullable<Bug['actions']> => actions => actions.map(action => {
  if (action.kind !== 'send') return action
  const message = readMessage(action.bytes)
  return message.kind === 'compare' ? action : { ...action, bytes: writeMessage({ ...change(message), key: message.key }) }
})

const handsOut = (bytes: Uint8Array): boolean => ['have', 'state'].includes(readMessage(bytes).kind)

/** The same structs, and no deletes. */
function withoutDeletes (update: Uint8Array): Uint8Array {
  const bytes: number[] = []
  const count = (value: number): void => {
    for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 + 128)
    bytes.push(value)
  }
  const clients = new Map<number, (Y.Item | Y.GC | Y.Skip)[]>()
  for (const struct of Y.decodeUpdate(update).structs) clients.set(struct.id.client, [...clients.get(struct.id.client) ?? [], struct])
  count(clients.size)
  for (const [client, structs] of clients) {
    count(structs.length)
    count(client)
    count(structs[0]?.id.clock ?? 0)
    const encoder = new Y.UpdateEncoderV1()
    for (const struct of structs) struct.write(encoder, 0)
    bytes.push(...encoder.toUint8Array())
  }
  return Uint8Array.from([...bytes, 0])
}

export const PLANTED: readonly Planted[] = [
  { name: 'publish before durable', bug: { showsEarly: true } },
  { name: 'acknowledge before durable', bug: { acknowledgesEarly: true } },
  { name: 'confirm to others before durable', bug: { actions: actions => actions.map(action => action.kind === 'send' ? { ...action, after: 0 } : action) }, from: 90 },
  {
    name: 'hand out what was written here before it is on disk',
    bug: { actions: actions => actions.map(action => action.kind === 'send' && handsOut(action.bytes) ? { ...action, after: 0 } : action) },
    from: 10
  },
  { name: 'acknowledge when the witness has ended, without the log', bug: { acknowledgesClaims: true } },
  { name: 'take for sure what the witness only claimed', bug: { trustsClaims: true } },
  { name: 'reuse a clientID after a lost tail', bug: { reusesClient: true } },
  { name: 'reuse a clientID after the power was gone, on a disk that lies', bug: { ignoresBoot: true }, kind: 'lying' },
  { name: 'write on under a clientID of which a peer knows more', bug: { replica: options => new DeafToItself(options) }, kind: 'restored' },
  { name: 'skip the gap check', bug: { replica: options => new WithoutGapCheck(options) } },
  { name: 'compare vectors only', bug: { replica: options => new OfVectorsOnly(options) } },
  { name: 'compare shapes only', bug: { replica: options => new OfShapesOnly(options) }, kind: 'liar' },
  { name: 'forget early updates', bug: { replica: options => new Forgetful({ ...options, earlyLimits: { updatesMax: 0 } }) }, kind: 'gossip' },
  { name: 'apply before the signature is checked', bug: { replica: options => new Replica({ ...options, verify: () => true }) }, kind: 'forger' },
  { name: 'take anybody’s clientID', bug: { replica: options => new WithoutAuthorCheck(options) }, kind: 'forger' },
  { name: 'give Yjs what is malformed', bug: { replica: options => new WithoutStrictReading(options) }, kind: 'forger' },
  {
    name: 'drop identical repeats',
    bug: {
      ignores: (kind: 'gossip' | 'stream', bytes: Uint8Array, seen: Set<string>): boolean => {
        const name = `${kind} ${Buffer.from(bytes).toString('base64')}`
        if (seen.has(name)) return true
        seen.add(name)
        return false
      }
    },
    kind: 'mute',
    from: 30
  },
  { name: 'hold no rounds', bug: { hasNoRounds: true } },
  { name: 'send no deletes', bug: { actions: sent(message => message.kind === 'have' ? { ...message, update: withoutDeletes(message.update) } : message) } },
  {
    name: 'lose the origin of a rebuilt record',
    bug: { actions: actions => actions.map(action => action.kind === 'append' && action.origin === REBUILT_ORIGIN ? { ...action, origin: '' } : action) },
    kind: 'liar'
  },
  { name: 'keep a digest while only deletes come', bug: { replica: options => new OfOldDigest(options) } },
  { name: 'serve a kept snapshot that is older than the log', bug: { replica: options => new ServesKept(options) } },
  { name: 'skip the gap check of a peer with nothing', bug: { replica: options => new OfFastStart(options) } },
  { name: 'answer no forks', bug: { replica: options => new WithoutMerge(options) }, kind: 'liar' }
]
