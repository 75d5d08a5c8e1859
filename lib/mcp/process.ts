/** `process_data`: small, exact work on a JSON array (filter, pick, sort, count, sum, group) that a model should not do by hand. */
import { z } from 'zod'
import { SwarmError } from '../base/error.ts'
import { canonicalJson, isObject } from '../base/json.ts'
import { makeTool, type Tool } from './tool.ts'

/** Most rows one call takes. */
export const ROWS_MAX = 100_000

/** Most operations one call takes. */
export const OPERATIONS_MAX = 32

const field = z.string().min(1).max(256).describe('a member of each row; dots reach inside: "address.city"')
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])

const operation = z.discriminatedUnion('op', [
  z.object({
    op: z.literal('filter'),
    field,
    is: z.enum(['equal', 'unequal', 'less', 'atMost', 'more', 'atLeast', 'contains', 'present', 'absent']),
    value: scalar.optional().describe('compared with; text with text, number with number')
  }).describe('keeps the rows that match'),
  z.object({ op: z.literal('pick'), fields: z.array(field).min(1).max(64) }).describe('keeps only these members of each row'),
  z.object({ op: z.literal('sort'), field, descending: z.boolean().default(false) }).describe('stable; rows without the member last'),
  z.object({ op: z.literal('limit'), count: z.int().min(0).max(ROWS_MAX) }).describe('keeps the first rows'),
  z.object({ op: z.literal('distinct'), field: field.optional() }).describe('keeps the first of equal rows, or of rows equal in one member'),
  z.object({ op: z.literal('count') }).describe('the number of rows, as one row {count}'),
  z.object({ op: z.literal('sum'), field }).describe('one row {sum, count, min, max, mean} of the numbers in a member'),
  z.object({ op: z.literal('group'), by: field, sum: field.optional() }).describe('one row {key, count} for each value, with {sum} of a member if asked')
])

type Operation = z.infer<typeof operation>

export function processData (): Tool {
  return makeTool('process_data', {
    title: 'Process data',
    description: 'Applies operations, in order, to a JSON array of rows and returns the resulting rows: filter, pick, sort, limit, distinct, count, sum, group.',
    input: z.object({
      data: z.array(z.unknown()).max(ROWS_MAX),
      operations: z.array(operation).min(1).max(OPERATIONS_MAX)
    }),
    output: z.object({ rows: z.array(z.unknown()), count: z.int() }),
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false }
  }, ({ data, operations }, { signal, progress }) => {
    let rows: readonly unknown[] = data
    for (const [index, step] of operations.entries()) {
      signal.throwIfAborted()
      rows = applyOperation(rows, step)
      progress(index + 1, operations.length, step.op)
    }
    return { rows: [...rows], count: rows.length }
  })
}

/** @throws SwarmError INVALID_ARGUMENTS when the rows do not allow the operation */
export function applyOperation (rows: readonly unknown[], step: Operation): readonly unknown[] {
  switch (step.op) {
    case 'filter': return rows.filter(row => matches(valueAt(row, step.field), step))
    case 'pick': return rows.map(row => Object.fromEntries(step.fields.flatMap(name => {
      const value = valueAt(row, name)
      return value === undefined ? [] : [[name, value]]
    })))
    case 'sort': return sorted(rows, step.field, step.descending)
    case 'limit': return rows.slice(0, step.count)
    case 'distinct': return [...firsts(rows, row => step.field === undefined ? row : valueAt(row, step.field)).values()]
    case 'count': return [{ count: rows.length }]
    case 'sum': return [summary(rows, step.field)]
    case 'group': return grouped(rows, step.by, step.sum)
  }
}

function valueAt (row: unknown, path: string): unknown {
  let value = row
  for (const name of path.split('.')) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

function matches (value: unknown, { is, value: wanted }: Extract<Operation, { op: 'filter' }>): boolean {
  if (is === 'present') return value !== undefined && value !== null
  if (is === 'absent') return value === undefined || value === null
  if (is === 'equal') return value === wanted
  if (is === 'unequal') return value !== wanted
  if (is === 'contains') return typeof value === 'string' ? value.includes(String(wanted)) : Array.isArray(value) && value.includes(wanted)
  const order = compare(value, wanted)
  if (order === undefined) return false
  return is === 'less' ? order < 0 : is === 'atMost' ? order <= 0 : is === 'more' ? order > 0 : order >= 0
}

/** Undefined where two values have no order: of different kinds, or neither text nor numbers. */
function compare (left: unknown, right: unknown): number | undefined {
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (typeof left === 'string' && typeof right === 'string') return left < right ? -1 : left > right ? 1 : 0
  return undefined
}

function sorted (rows: readonly unknown[], field: string, descending: boolean): readonly unknown[] {
  const rank = (value: unknown): number => typeof value === 'number' ? 0 : typeof value === 'string' ? 1 : 2
  return rows.map(row => ({ row, value: valueAt(row, field) })).sort((left, right) => {
    const order = compare(left.value, right.value)
    if (order === undefined) return rank(left.value) - rank(right.value)
    return descending ? -order : order
  }).map(({ row }) => row)
}

function firsts<Row> (rows: readonly Row[], keyOf: (row: Row) => unknown): Map<string, Row> {
  const first = new Map<string, Row>()
  for (const row of rows) {
    const key = canonicalJson(keyOf(row) ?? null)
    if (!first.has(key)) first.set(key, row)
  }
  return first
}

function numberAt (row: unknown, field: string): number[] {
  const value = valueAt(row, field)
  if (value === undefined || value === null) return []
  if (typeof value === 'number') return [value]
  throw new SwarmError('INVALID_ARGUMENTS', `cannot sum ${field}: one row has ${JSON.stringify(value)?.slice(0, 80)}, which is no number`)
}

function summary (rows: readonly unknown[], field: string): Record<string, number | null> {
  let [sum, count, min, max] = [0, 0, Infinity, -Infinity]
  for (const value of rows.flatMap(row => numberAt(row, field))) {
    sum += value
    count++
    min = Math.min(min, value)
    max = Math.max(max, value)
  }
  return count === 0 ? { sum: 0, count: 0, min: null, max: null, mean: null } : { sum, count, min, max, mean: sum / count }
}

function grouped (rows: readonly unknown[], by: string, field: string | undefined): readonly unknown[] {
  const groups = new Map<string, { key: unknown, count: number, sum: number }>()
  for (const row of rows) {
    const key = valueAt(row, by) ?? null
    const text = canonicalJson(key)
    const group = groups.get(text) ?? { key, count: 0, sum: 0 }
    groups.set(text, group)
    group.count++
    if (field !== undefined) for (const value of numberAt(row, field)) group.sum += value
  }
  return [...groups.values()].map(({ key, count, sum }) => field === undefined ? { key, count } : { key, count, sum })
}
