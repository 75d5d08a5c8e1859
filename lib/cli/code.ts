/** The global under which launch.ts leaves the way to keep compiled code, where none was kept. */
export const KEEP_CODE = Symbol.for('mcp-swarm.keepCode')

/** What has been compiled so far is what a start needs: keeps it for the next one, once. Blocks for about 0.1 s. */
export function keepCode (): void {
  const place = globalThis as { [KEEP_CODE]?: () => void }
  place[KEEP_CODE]?.()
  delete place[KEEP_CODE]
}
