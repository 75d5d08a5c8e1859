import { existsSync, readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { CONFIG_BYTES_MAX, defaultDataFolder, parseConfig, SwarmError, type Config } from 'mcp-swarm'

/** What every command takes. */
export interface CommonOptions {
  readonly dir?: string
  readonly config?: string
  readonly json?: boolean
}

/** Where a command works. */
export interface Place {
  /** The data folder. */
  readonly dir: string
  /** The config file, if there is one. */
  readonly configPath: string | undefined
  /** How to name the place to another command: `--dir …`, or nothing where the default finds it. */
  readonly flags: string
}

/** The file used where it lies in the current folder and no other is named. */
const CONFIG_NAME = '.mcp.json'

export function findPlace (options: CommonOptions): Place {
  const configPath = options.config !== undefined ? resolve(options.config) : existsSync(CONFIG_NAME) ? resolve(CONFIG_NAME) : undefined
  const chosen = options.dir ?? process.env['MCP_SWARM_DIR']
  return {
    dir: chosen === undefined || chosen === '' ? defaultDataFolder(configPath) : resolve(chosen),
    configPath,
    flags: [
      ...(options.dir === undefined ? [] : [` --dir ${quote(resolve(options.dir))}`]),
      ...(options.config === undefined ? [] : [` --config ${quote(resolve(options.config))}`])
    ].join('')
  }
}

/** Reads the config file of a place. @throws SwarmError CONFIG_INVALID */
export async function readConfig (path: string | undefined): Promise<Config | undefined> {
  return path === undefined ? undefined : configOf(path, await readText(path))
}

/** The config in a file's text; servers start in the folder they belong to unless they say otherwise. @throws SwarmError CONFIG_INVALID */
export function configOf (path: string, text: string): Config {
  const config = parseConfig(text, { path, env: process.env, home: homedir(), readEnvFile: (file, folder) => readEnvFile(resolve(folder, file)) })
  const servers = Object.entries(config.servers).map(([name, spec]) =>
    [name, 'command' in spec ? { ...spec, cwd: resolve(config.folders[name] ?? dirname(path), spec.cwd ?? '.') } : spec] as const)
  return { ...config, servers: Object.fromEntries(servers) }
}

function readEnvFile (path: string): Record<string, string> {
  const { size } = statSync(path)
  if (size > CONFIG_BYTES_MAX) throw new Error(`it has ${size} bytes; limit ${CONFIG_BYTES_MAX}`)
  return Object.fromEntries(Object.entries(parseEnv(readFileSync(path, 'utf8'))).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** @throws SwarmError CONFIG_INVALID */
export async function readText (path: string): Promise<string> {
  try {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      if (size > CONFIG_BYTES_MAX) throw new SwarmError('CONFIG_INVALID', `${path} has ${size} bytes; limit ${CONFIG_BYTES_MAX}`, { details: { path } })
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (cause instanceof SwarmError) throw cause
    const missing = (cause as { code?: unknown }).code === 'ENOENT'
    throw new SwarmError('CONFIG_INVALID', missing ? `there is no config file ${path}` : `cannot read the config file ${path}: ${(cause as Error).message}`, { cause, details: { path } })
  }
}

/** As a shell takes it. */
export function quote (text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
