/** The names of documents, as people and programs choose them, and the keys that stand for them on disk and on the wire. */
import { utf8 } from '../lib/base/bytes.ts'
import { SwarmError } from '../lib/base/error.ts'
import { sha256 } from '#hash'
import { hex } from './record.ts'

/** Longest name, in characters (code points). */
export const NAME_CHARS_MAX = 128

/** Bytes of a document's key: enough that nobody finds two names with one key. */
export const KEY_BYTES = 16

/** Characters that are not seen: controls, marks of direction, halves of pairs, private ones, and breaks of lines. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u

/** The space of ASCII is the only one that stays itself through forms, shells and files. */
const ODD_SPACE = /(?! )\p{Zs}/u

/**
 * A name has 1 to 128 characters, letters, digits, signs and symbols of any script, with single or several plain spaces between them.
 * It must be in Unicode's normal form C: two names that look alike then are one.
 *
 * @throws SwarmError NAME_INVALID, with `name` (its beginning) and `reason`
 */
export function checkName (name: string): void {
  const reason = typeof name !== 'string'
    ? 'it is not a text'
    : name === ''
      ? 'it is empty'
      : name.length > 2 * NAME_CHARS_MAX || [...name].length > NAME_CHARS_MAX
        ? `it has more than ${NAME_CHARS_MAX} characters`
        : UNSEEN.test(name) || ODD_SPACE.test(name)
          ? 'it holds a character that cannot be seen'
          : name !== name.trim()
            ? 'it begins or ends with a space'
            : name !== name.normalize('NFC') ? 'it is not in Unicode normal form C: use name.normalize()' : undefined
  if (reason === undefined) return
  const shown = String(name).slice(0, NAME_CHARS_MAX)
  throw new SwarmError('NAME_INVALID', `${JSON.stringify(shown)} is no name of a document: ${reason}`, { details: { name: shown, reason } })
}

/**
 * The key of a document: the first 128 bits of a hash of its name, in 32 hexadecimal digits.
 *
 * @throws SwarmError NAME_INVALID
 */
export function documentKey (name: string): string {
  checkName(name)
  return hex(sha256(utf8(`mcp-swarm document\n${name}`)).subarray(0, KEY_BYTES))
}
