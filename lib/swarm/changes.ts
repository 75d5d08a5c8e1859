/** What a new config changes, as data: what is equal is left alone. */
import { canonicalJson } from '../base/json.ts'
import type { Config } from './config.ts'

/** Names of servers and of settings, each in the order of the new config; what is gone, in that of the old. */
export interface ConfigChanges {
  /** Now shared. */
  readonly added: readonly string[]
  /** No longer shared. */
  readonly removed: readonly string[]
  /** Shared before and now, and to be started anew: how it starts, its pool or its session is another. */
  readonly replaced: readonly string[]
  /** Only who may use it is another. */
  readonly allowed: readonly string[]
  /** Settings that count from the next start. */
  readonly atRestart: readonly string[]
}

/** @param before undefined: there was no config */
export function changesOf (before: Config | undefined, after: Config): ConfigChanges {
  const [old, now] = [before?.swarm.share ?? [], after.swarm.share]
  const kept = now.filter(name => old.includes(name))
  const isSame = (name: string): boolean => before !== undefined && canonicalJson(startOf(before, name)) === canonicalJson(startOf(after, name))
  const isFor = ({ swarm }: Config, name: string): string => canonicalJson([...new Set(swarm.allow[name] ?? EVERY_MEMBER)].sort())
  return {
    added: now.filter(name => !old.includes(name)),
    removed: old.filter(name => !now.includes(name)),
    replaced: kept.filter(name => !isSame(name)),
    allowed: kept.filter(name => isSame(name) && before !== undefined && isFor(before, name) !== isFor(after, name)),
    atRestart: before?.swarm.name === after.swarm.name ? [] : ['name']
  }
}

/** Whether there is nothing in it. */
export function isEmpty (changes: ConfigChanges): boolean {
  return Object.values(changes).every((names: readonly string[]) => names.length === 0)
}

/** What `allow` is taken to say where it says nothing. */
export const EVERY_MEMBER: readonly string[] = ['role:member']

/** What a running server was started with, and cannot change. */
function startOf ({ servers, swarm }: Config, name: string): unknown {
  return { spec: servers[name], pool: swarm.pool[name], session: swarm.session[name] ?? 'shared' }
}
