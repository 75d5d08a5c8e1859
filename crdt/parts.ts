/** Many updates as two buffers: what is cheap to hand to a thread. */
export interface Parts {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Where each part ends. */
  readonly ends: Float64Array<ArrayBuffer>
}

/** What the thread answers with. */
export type Answer = { readonly snapshot: Uint8Array } | { readonly failure: string }

export function joinParts (parts: readonly Uint8Array[]): Parts {
  const ends = new Float64Array(parts.length)
  let end = 0
  parts.forEach((part, index) => { ends[index] = end += part.byteLength })
  const bytes = new Uint8Array(end)
  parts.forEach((part, index) => { bytes.set(part, (ends[index] as number) - part.byteLength) })
  return { bytes, ends }
}

export function splitParts ({ bytes, ends }: Parts): Uint8Array[] {
  return Array.from(ends, (end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end))
}
