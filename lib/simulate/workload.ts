/** What applications do to documents: lists, maps, texts with formats, types within types, several changes at once. */
import type { Replica } from '../../crdt/replica.ts'
import type { Chance } from './chance.ts'

const KEYS = 6

/** Texts longer than this are cut rather than grown. */
const TEXT_CHARS_MAX = 60

export const WORDS = ['a', 'bc', 'déf', '😀']

/**
 * Changes a document in some way.
 *
 * @param mark pushed onto the list `log`, which nothing is ever deleted from; '' for none
 * @param words put into texts
 */
export function change ({ doc }: Replica, chance: Chance, mark: string, words = WORDS): void {
  doc.transact(() => {
    if (mark !== '') doc.getArray('log').push([mark])
    for (let left = chance.hits(0.2) ? 3 : 1; left > 0; left--) changeOnce(doc, chance, words)
  })
}

function changeOnce (doc: Replica['doc'], chance: Chance, words: readonly string[]): void {
  const [map, text, list] = [doc.getMap('map'), doc.getText('text'), doc.getArray('list')]
  const key = `k${chance.from(0, KEYS - 1)}`
  const held = map.get(key)
  switch (chance.from(0, 11)) {
    case 0: case 1: map.set(key, chance.from(0, 99)); return
    case 2: map.delete(key); return
    case 3: map.set(key, new (map.constructor as new () => typeof map)()); return
    case 4: map.set(key, new (text.constructor as new () => typeof text)()); return
    case 5:
      if (isOf(held, map)) held.set(`k${chance.from(0, KEYS - 1)}`, new (list.constructor as new () => typeof list)())
      else if (isOf(held, text)) held.insert(placeIn(held.toJSON(), chance), 'within')
      return
    case 6:
      if (isOf(held, map)) for (const [, inner] of held) if (isOf(inner, list)) inner.push([chance.from(0, 9)])
      return
    case 7: list.insert(chance.from(0, list.length), [chance.from(0, 9), { a: [1, null, 'ü'] }]); return
    case 8: if (list.length > 0) list.delete(chance.from(0, list.length - 1), 1); return
    case 9: text.format(...spanIn(text.toJSON(), chance), { bold: chance.hits(0.5) ? true : null }); return
    default:
      if (text.length > TEXT_CHARS_MAX) text.delete(...spanIn(text.toJSON(), chance))
      else text.insert(placeIn(text.toJSON(), chance), chance.of(words))
  }
}

/** Deletes something, and writes nothing: no vector shows it. */
export function erase ({ doc }: Replica, chance: Chance): void {
  const [map, list] = [doc.getMap('map'), doc.getArray('list')]
  const keys = [...map.keys()]
  if (keys.length > 0 && (list.length === 0 || chance.hits(0.5))) map.delete(chance.of(keys))
  else if (list.length > 0) list.delete(chance.from(0, list.length - 1), 1)
}

/** A place in a text that parts no character: applications do not, and Yjs would part it at this peer alone. */
function placeIn (text: string, chance: Chance): number {
  const place = chance.from(0, text.length)
  return /[\uD800-\uDBFF]/.test(text.charAt(place - 1)) ? place + 1 : place
}

function spanIn (text: string, chance: Chance): [index: number, length: number] {
  const [one, other] = [placeIn(text, chance), placeIn(text, chance)]
  return [Math.min(one, other), Math.abs(one - other)]
}

/** Whether a value is a shared type of the same kind. */
function isOf<T extends object> (value: unknown, type: T): value is T {
  return typeof value === 'object' && value !== null && value.constructor === type.constructor
}
