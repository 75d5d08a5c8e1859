/** Longest word that counts whole, in characters; of a longer one the beginning does. */
export const WORD_CHARS_MAX = 40

/** The words of a text, in small letters, in their order; of `readFile` and `read_file` also the two as one. */
export function wordsOf (text: string): string[] {
  const words: string[] = []
  for (const [group] of text.matchAll(/[\p{L}\p{M}\p{N}]+(?:[_.-]+[\p{L}\p{M}\p{N}]+)*/gu)) {
    const small = group.toLowerCase()
    const parts = small === group && !/[_.-]/.test(group) ? [small] : partsOf(group)
    for (const part of parts) words.push(part.slice(0, WORD_CHARS_MAX))
    if (parts.length > 1) words.push(parts.join('').slice(0, WORD_CHARS_MAX))
  }
  return words
}

/** At `_`, `-`, `.`, and where small letters or digits meet a capital: `getHTTPServer2Port` is get, http, server2, port. */
function partsOf (group: string): string[] {
  return group.split(/[_.-]+|(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u).filter(part => part !== '').map(part => part.toLowerCase())
}
