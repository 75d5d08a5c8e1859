/**
 * Whether a URI may have been made of a URI template: to find whose it is, not to read its variables.
 *
 * Templates come from other peers. A regular expression made of one can take time without end (`{+a}{+b}{+c}…`), so the
 * template is run over the URI as a set of positions, which costs at most parts × characters, both of them bounded.
 * More is taken than a template can make, as servers do: many clients put unescaped text in. Source: RFC 6570.
 */

/** Expressions in a template that is looked at. */
export const EXPRESSIONS_MAX = 32

/** Longest URI that is looked for among templates, in characters. */
export const TEMPLATE_URI_CHARS_MAX = 8_192

export interface Template {
  readonly parts: readonly Part[]
  /** Characters that are not of expressions: of two templates that fit, the one with more says more. */
  readonly literals: number
}

type Part = string | Expression

/** `first`, then at least one character other than the `stops`; or nothing at all where `isOptional`. */
interface Expression {
  readonly first: string
  readonly stops: string
  readonly isOptional: boolean
}

const OPERATORS: Record<string, Expression> = {
  '': { first: '', stops: '/', isOptional: false },
  '+': { first: '', stops: '', isOptional: false },
  '#': { first: '', stops: '', isOptional: true },
  '.': { first: '.', stops: '/', isOptional: true },
  '/': { first: '/', stops: '', isOptional: true },
  ';': { first: ';', stops: '', isOptional: true },
  '?': { first: '?', stops: '', isOptional: true },
  '&': { first: '&', stops: '', isOptional: true }
}

/** @returns undefined where it is not a template, or has more than EXPRESSIONS_MAX expressions */
export function parseTemplate (text: string): Template | undefined {
  const parts: Part[] = []
  let literals = 0
  let at = 0
  for (const { 0: whole, 1: operator = '', index } of text.matchAll(/\{([+#./;?&]?)[^{}]+\}/g)) {
    if (index > at) parts.push(text.slice(at, index))
    parts.push(OPERATORS[operator] as Expression)
    literals += index - at
    at = index + whole.length
  }
  if (at === 0 || parts.filter(part => typeof part !== 'string').length > EXPRESSIONS_MAX) return undefined
  if (at < text.length) parts.push(text.slice(at))
  literals += text.length - at
  return { parts, literals }
}

export function fitsTemplate ({ parts }: Template, uri: string): boolean {
  const [first] = parts
  if (uri.length > TEMPLATE_URI_CHARS_MAX || (typeof first === 'string' && !uri.startsWith(first))) return false
  let starts = [0]
  for (const part of parts) {
    starts = typeof part === 'string'
      ? starts.filter(start => uri.startsWith(part, start)).map(start => start + part.length)
      : pass(part, uri, starts)
    if (starts.length === 0) return false
  }
  return starts.at(-1) === uri.length
}

/** @param starts rising, not empty @returns where the expression may end that begins at one of them, rising */
function pass ({ first, stops, isOptional }: Expression, uri: string, starts: readonly number[]): number[] {
  const begins = new Set(starts)
  const ends: number[] = []
  /** Whether one that began earlier has taken every character up to here, and at least one. */
  let isOpen = false
  for (let at = starts[0] as number; at <= uri.length; at++) {
    const last = at - 1
    const beganAtLast = begins.has(last - first.length) && uri.startsWith(first, last - first.length)
    isOpen = (isOpen || beganAtLast) && !stops.includes(uri[last] as string)
    if (isOpen || (isOptional && begins.has(at))) ends.push(at)
  }
  return ends
}
