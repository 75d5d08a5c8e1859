/**
 * The catalogues this peer knows, by hash, within a budget of bytes: one copy however many agents offer it.
 * A catalogue that no agent names any more stays until the next sweep, for agents that come back with it.
 */
import { toolHash, type Catalogue, type ToolDefinition } from './catalogue.ts'

/** Texts of all catalogues held at once, in bytes. */
export const LIBRARY_BYTES_MAX = 64 * 2 ** 20

/** A tool with its definition hash, which is worked out at the first question. */
export class Item {
  readonly tool: ToolDefinition
  #hash: string | undefined

  constructor (tool: ToolDefinition) {
    this.tool = tool
  }

  get hash (): string {
    this.#hash ??= toolHash(this.tool)
    return this.#hash
  }
}

/** A catalogue with its tools by name. */
export interface Volume {
  readonly hash: string
  readonly catalogue: Catalogue
  readonly bytes: number
  readonly items: ReadonlyMap<string, Item>
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

  add (hash: string, catalogue: Catalogue, bytes: number): void {
    const items = new Map(catalogue.tools.map(tool => [tool.name, new Item(tool)]))
    this.#volumes.set(hash, { hash, catalogue, bytes, items })
    this.#bytes += bytes
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
