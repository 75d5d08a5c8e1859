/**
 * Documents without a swarm, for those who bring their own network: the log that survives a power cut, and the core that
 * decides what goes to whom. Nothing here opens a socket, a file or a timer.
 *
 * - `Wal` keeps a Yjs document's updates, over any `Storage` and `Witness`; one `Committer` writes for all documents of a process.
 * - `Sync` is the core for all documents of a peer, `Replica` for one. Tell them what happens (`edited`, `heard`, `received`,
 *   `durable`, `connected`, `tick`), and perform what they return, in order: append; and publish or send once all up to `after` is durable.
 * - Two replicas are equal when their digests are (`equalDigests`).
 *
 *     const committer = new Committer({ storage, witness, clock: systemClock, durability: 'strict' })
 *     const { wal, snapshot, updates } = await Wal.open(documentKey('notes'), { committer, name: 'notes' })
 *     const doc = documentOf(emptyDocument, snapshot, updates)
 *     doc.on('update', update => { wal.append(update, '') })
 *     await wal.flushed()
 *
 * test/crdt/entry.test.ts drives two replicas and their logs with no more than this.
 */
export { Committer } from './committer.ts'
export type { CommitterOptions, Durability } from './committer.ts'
export { Wal } from './wal.ts'
export type { LoggedUpdate, Opened, WalOptions, WalStatus } from './wal.ts'
export type { Damage, DamageKind, Recovery } from './recover.ts'
export type { Fold, Folding } from './fold.ts'
export { checkName, documentKey } from './name.ts'
export { listDocuments } from './place.ts'
export { documentOf, emptyDocument, encodeState } from './state.ts'
export { Replica } from './replica.ts'
export type { Alarm, Effect, ReplicaOptions, Verdict } from './replica.ts'
export { Sync } from './sync.ts'
export type { Action } from './sync.ts'
export { equalDigests } from './digest.ts'
export type { Digest } from './digest.ts'
export type { Signer } from './envelope.ts'
export { generateKey, keyFromSeed } from '../lib/identity/key.ts'
export type { PrivateKey } from '../lib/identity/key.ts'
export { MemoryWitness } from '../lib/base/witness.ts'
export type { Head, Standing, Witness } from '../lib/base/witness.ts'
export type { Change, Storage } from '../lib/base/storage.ts'
export { systemClock } from '../lib/base/clock.ts'
export type { Clock } from '../lib/base/clock.ts'
export { systemRandom } from '../lib/base/random.ts'
export type { Random } from '../lib/base/random.ts'
export { SwarmError } from '../lib/base/error.ts'
