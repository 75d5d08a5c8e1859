/**
 * A swarm's words: six that two people read to each other, to know that they mean the same swarm. A ticket goes through
 * mail and chat, where somebody in between could replace it by one of a swarm of his own; he would need a key with
 * these words.
 *
 * Each word is one of 2,048, so six are 66 bits of a hash of the swarm's public key. Keys whose words are those of a given
 * swarm can be looked for by trying: 2^66 of them, far out of reach. They are no secret, and nothing is derived from them.
 */
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { concatBytes, utf8 } from '../base/bytes.ts'
import { assert } from '../base/error.ts'
import { sha256 } from '#hash'
import { PUBLIC_KEY_BYTES } from '../identity/key.ts'

/** Words of a swarm; each tells WORD_BITS. */
export const WORDS = 6
export const WORD_BITS = 11

const DOMAIN = utf8('mcp-swarm/words/1\n')

/** The words of a swarm's public key, with a space between them. */
export function wordsOf (swarmPublicKey: Uint8Array): string {
  assert(swarmPublicKey.byteLength === PUBLIC_KEY_BYTES, `a public key has ${PUBLIC_KEY_BYTES} bytes, not ${swarmPublicKey.byteLength}`)
  const hash = sha256(concatBytes(DOMAIN, swarmPublicKey))
  let [bits, held, offset] = [0, 0, 0]
  const words = Array.from({ length: WORDS }, () => {
    while (held < WORD_BITS) {
      bits = bits << 8 | (hash[offset++] as number)
      held += 8
    }
    held -= WORD_BITS
    const word = wordlist[bits >> held]
    bits &= (1 << held) - 1
    return word
  })
  return words.join(' ')
}
