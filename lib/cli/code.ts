/** The global under which launch.ts leaves the way to keep compiled code, where none was kept. */
export const KEEP_CODE = Symbol.for('mcp-swarm.keepCode')

/**
 * What has been compiled so far is what a start needs: keeps it for the next one, once. Blocks for about 0.1 s.
 *
 * @param isLean without what meets others, which only a start where nobody was met can tell: such code is read the quickest, and wins
 */
export function keepCode (isLean: boolean): void {
  const place = globalThis as { [KEEP_CODE]?: (isLean: boolean) => void }
  place[KEEP_CODE]?.(isLean)
  delete place[KEEP_CODE]
}
