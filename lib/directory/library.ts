/**
 * The catalogues this peer knows, by hash, within a budget of bytes: one copy however many agents offer it.
 * A catalogue that no agent names any more stays until the next sweep, for agents that come back with it.
 */
import { toolHash, type Catalogue, type ToolDefinition } from './catalogue.ts'

/** Texts of all catalogues held at once, in bytes. */
export const LIBRARY_BYTES_MAX = 64 * 2 ** 20

/** A catalogue with its tools by name. */
export class Volume {
  readonly hash: string
  readonly catalogue: Catalogue
  readonly bytes: number
  readonly tools: ReadonlyMap<string, ToolDefinition>
  readonly #toolHashes = new Map<string, string>()

  constructor (hash: string, catalogue: Catalogue, bytes: number) {
    this.hash = hash
    this.catalogue = catalogue
    this.bytes = bytes
    this.tools = new Map(catalogue.tools.map(tool => [tool.name, tool]))
  }

  /** The definition hash of one of its tools; worked out at the first question. */
  toolHash (tool: ToolDefinition): string {
    let hash = this.#toolHashes.get(tool.name)
    if (hash === undefined) {
      hash = toolHash(tool)
      this.#toolHashes.set(tool.name, hash)
    }
    return hash
  }
}

export class Library {
  readonly #bytesMax: number
  readonly #volumes = new Map<string, Volume>()
  #bytes = 0

  constructor (bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes (): number {
    return this.#bytes
  }

  get (hash: string): Volume | undefined {
    return this.#volumes.get(hash)
  }

  hasRoomFor (bytes: number): boolean {
    return this.#bytes + bytes <= this.#bytesMax
  }

  add (volume: Volume): void {
    this.#volumes.set(volume.hash, volume)
    this.#bytes += volume.bytes
  }

  /** Drops what `isNeeded` denies. */
  sweep (isNeeded: (hash: string) => boolean): void {
    for (const [hash, volume] of this.#volumes) {
      if (isNeeded(hash)) continue
      this.#volumes.delete(hash)
      this.#bytes -= volume.bytes
    }
  }
}
