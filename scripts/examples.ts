/**
 * Runs every example: examples/NAME/main.ts checks itself, and ends with 0 only if it did what its page says.
 *
 *   npm run examples                 all; shows what those print that fail
 *   npm run examples -- 01-share     those whose path holds the word, with all that they print
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { runScripts } from './sequence.ts'

const folders = existsSync('examples') ? readdirSync('examples', { withFileTypes: true }).filter(entry => entry.isDirectory()) : []
await runScripts({ paths: folders.map(({ name }) => join('examples', name, 'main.ts')), args: [], boundMs: 60_000, quiet: process.argv.length === 2 })
