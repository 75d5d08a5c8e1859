/**
 * Bundles test files, so that each loads in a fraction of the time that its sources and packages take one by one: with 130 files,
 * that was half of what `npm test` cost. They share one build; what is imported stays one module in each process.
 */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { nodeBuild } from './build.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Not of use in a bundle: tools that find files beside themselves, and what counts the tests. */
const TOOLS = ['esbuild', 'eslint', 'fast-check', 'playwright-core', 'tsx', 'typescript', 'uvu']

/** @param files below the project @returns by file, what to run instead, below `outdir` */
export async function bundleTests (files: readonly string[], outdir: string): Promise<Map<string, string>> {
  await build({
    ...nodeBuild, outdir, outbase: root, entryPoints: [...files], external: [...nodeBuild.external, ...TOOLS], plugins: [ownUrls], metafile: false
  })
  return new Map(files.map(file => [file, relative(root, join(root, outdir, file.replace(/\.ts$/, '.js')))]))
}

/** Builds the command line alone, with the thread that it starts, as they are published. */
export async function buildCli (outdir: string): Promise<void> {
  const { cli = '', 'fold-thread': thread = '' } = nodeBuild.entryPoints
  await build({ ...nodeBuild, outdir, entryPoints: { cli, 'fold-thread': thread }, metafile: false })
}

/** A source is where it was, whatever it is bundled into: it finds its fixtures, and starts its programs. */
const ownUrls: Plugin = {
  name: 'own urls',
  setup (build) {
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => path.includes('node_modules')
      ? undefined
      : { loader: 'ts', contents: readFileSync(path, 'utf8').replaceAll(/(?<!['"])import\.meta\.url/g, JSON.stringify(pathToFileURL(path).href)) })
  }
}
