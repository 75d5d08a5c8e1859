/** Colour, where it is wanted: on a terminal, unless NO_COLOR is set (https://no-color.org) or the terminal is dumb. */
export interface Paint {
  (style: Style, text: string): string
}

export type Style = keyof typeof CODES

/** Select Graphic Rendition. Source: ECMA-48, section 8.3.117. */
const CODES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], cyan: [36, 39] } as const

export function painter (isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Paint {
  const wanted = isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
  return (style, text) => wanted ? `\u001b[${CODES[style][0]}m${text}\u001b[${CODES[style][1]}m` : text
}
