/** Node arguments with which a child process runs TypeScript and finds 'mcp-swarm' in its source, from any folder. */
export const SOURCE_ARGS: readonly string[] = ['--import', import.meta.resolve('tsx'), '--conditions=mcp-swarm-source']
