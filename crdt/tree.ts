/**
 * Which of thousands of documents differ between two peers, in a few messages: a tree over the hexadecimal digits of their keys, in
 * which a node's hash stands for every digest below it. Where two nodes are equal nothing below is looked at. With n documents of
 * which d differ that takes about log16(n) messages and 16 d log16(n) hashes.
 *
 * Source: R. Merkle's trees, as Dynamo uses them for anti-entropy: DeCandia et al., SOSP 2007, section 4.7.
 */
import { concatBytes, equalBytes, utf8 } from '../lib/base/bytes.ts'
import { sha256 } from '#hash'
import { HALF_BYTES, equalDigests, type Digest } from './digest.ts'
import { COMPARED_MAX, type Compare, type Leaf, type Node } from './message.ts'
import { KEY_BYTES } from './name.ts'

/** Documents below a node that are listed one by one rather than parted once more. */
export const LIST_MAX = 32

/** A branch with one document below it need not be parted: it has the leaf itself. */
interface Branch { hash: Uint8Array | undefined, count: number, children: (Branch | undefined)[], leaf: Leaf | undefined }

export class DigestTree {
  readonly #root = emptyBranch()

  get size (): number {
    return this.#root.count
  }

  /** @param key 32 hexadecimal digits */
  set (key: string, digest: Digest): void {
    const held = this.#leaf(key)
    if (held !== undefined && equalDigests(held.digest, digest)) return
    const leaf = { key, digest }
    let branch = this.#root
    for (let depth = 0; ; depth++) {
      branch.hash = undefined
      if (held === undefined) branch.count++
      if (branch.leaf?.key === key || branch.count === 1 && branch.children.length === 0) {
        branch.leaf = leaf
        return
      }
      if (branch.leaf !== undefined) {
        branch.children[digitAt(branch.leaf.key, depth)] = { ...emptyBranch(), count: 1, leaf: branch.leaf }
        branch.leaf = undefined
      }
      branch = branch.children[digitAt(key, depth)] ??= emptyBranch()
    }
  }

  delete (key: string): void {
    if (this.#leaf(key) === undefined) return
    let branch = this.#root
    for (let depth = 0; ; depth++) {
      branch.hash = undefined
      branch.count--
      if (branch.leaf !== undefined) {
        branch.leaf = undefined
        return
      }
      const at = digitAt(key, depth)
      const child = branch.children[at] as Branch
      if (child.count === 1) {
        branch.children[at] = undefined
        return
      }
      branch = child
    }
  }

  /** How an exchange begins: the hash of everything. */
  begin (): Compare {
    return { kind: 'compare', nodes: [this.#node('', this.#root)], lists: [] }
  }

  /** The answer to a `compare`, if there is one to give, and the documents both have in which they differ. */
  compare ({ nodes, lists }: Compare): { answer: Compare | undefined, differing: string[] } {
    const answer: { kind: 'compare', nodes: Node[], lists: { prefix: string, leaves: Leaf[] }[] } = { kind: 'compare', nodes: [], lists: [] }
    let room = COMPARED_MAX - 1
    for (const { prefix, hash } of nodes) {
      const branch = this.#find(prefix)
      // What the other has alone, under keys that we do not hold, is not ours to ask for.
      if (branch === undefined || branch.count === 0 || equalBytes(this.#hash(branch), hash)) continue
      const isList = branch.count <= LIST_MAX || prefix.length === 2 * KEY_BYTES
      room -= isList ? branch.count + 1 : 16
      // What does not fit into one message waits for the next round.
      if (room < 0) break
      if (isList) answer.lists.push({ prefix, leaves: [...leavesOf(branch)] })
      else answer.nodes.push(...branch.children.flatMap((child, at) => child === undefined ? [] : [this.#node(prefix + at.toString(16), child)]))
    }
    const differing = lists.flatMap(({ leaves }) => leaves.flatMap(({ key, digest }) => {
      const held = this.#leaf(key)
      return held === undefined || equalDigests(held.digest, digest) ? [] : [key]
    }))
    return { answer: answer.nodes.length + answer.lists.length === 0 ? undefined : answer, differing }
  }

  #node (prefix: string, branch: Branch): Node {
    return { prefix, hash: this.#hash(branch) }
  }

  #hash (branch: Branch): Uint8Array {
    if (branch.hash !== undefined) return branch.hash
    const parts: Uint8Array[] = []
    if (branch.count === 1) {
      for (const { key, digest } of leavesOf(branch)) parts.push(utf8(key), digest.shape, digest.content)
    } else {
      branch.children.forEach((child, at) => { if (child !== undefined) parts.push(Uint8Array.of(at), this.#hash(child)) })
    }
    return branch.hash = sha256(concatBytes(...parts)).subarray(0, HALF_BYTES)
  }

  #leaf (key: string): Leaf | undefined {
    const branch = this.#find(key)
    if (branch === undefined) return undefined
    for (const leaf of leavesOf(branch)) if (leaf.key === key) return leaf
    return undefined
  }

  /** The branch of a prefix, or one above it whose only document is below the prefix. */
  #find (prefix: string): Branch | undefined {
    let branch: Branch | undefined = this.#root
    for (let depth = 0; depth < prefix.length; depth++) {
      if (branch.leaf !== undefined) return branch.leaf.key.startsWith(prefix) ? branch : undefined
      branch = branch.children[digitAt(prefix, depth)]
      if (branch === undefined) return undefined
    }
    return branch
  }
}

function emptyBranch (): Branch {
  return { hash: undefined, count: 0, children: [], leaf: undefined }
}

function digitAt (key: string, depth: number): number {
  return Number.parseInt(key.charAt(depth), 16)
}

function * leavesOf (branch: Branch): Generator<Leaf> {
  if (branch.leaf !== undefined) yield branch.leaf
  for (const child of branch.children) if (child !== undefined) yield* leavesOf(child)
}
