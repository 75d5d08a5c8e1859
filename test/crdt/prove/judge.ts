/** A process that judges folders, one JSON line each way: LevelDB ends the whole process by an assertion where a table is damaged in some ways. */
import { createInterface } from 'node:readline'
import { judgeFolder } from './folder.ts'

for await (const line of createInterface({ input: process.stdin })) {
  const { folder, acknowledged } = JSON.parse(line) as { folder: string, acknowledged: [string, number][] }
  process.stdout.write(`${JSON.stringify(await judgeFolder(folder, new Map(acknowledged)))}\n`)
}
