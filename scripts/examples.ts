/** Runs every example: examples/NAME/main.ts checks itself, and ends with 0 only if it did what its page says. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { runScripts } from './sequence.ts'

const folders = existsSync('examples') ? readdirSync('examples', { withFileTypes: true }).filter(entry => entry.isDirectory()) : []
await runScripts({ paths: folders.map(({ name }) => join('examples', name, 'main.ts')), args: [], boundMs: 60_000, quiet: true })
