/** Text from others, before it meets a terminal. */

/** Sequences that steer a terminal: CSI, OSC and their kin. Source: ECMA-48, sections 5.4 and 8.3. */
// eslint-disable-next-line no-control-regex
const ESCAPES = /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/g

/**
 * One line that cannot move the cursor, colour what follows, or show itself in another order than it is: without escape
 * sequences, control and format characters (among them every bidirectional mark).
 */
export function plainLine (text: string): string {
  return text.replace(ESCAPES, '').replace(/[\t-\r]/g, ' ').replace(/\p{C}/gu, '').replace(/\s+/gu, ' ').trim()
}

/** The same for a longer text: lines and tabs stay. */
export function plainText (text: string): string {
  return text.replace(ESCAPES, '').replace(/\r\n?/g, '\n').replace(/[^\P{C}\n\t]/gu, '')
}

/** At most `length` characters, with a mark where it was cut. */
export function shorten (text: string, length: number): string {
  const characters = [...text]
  return characters.length <= length ? text : `${characters.slice(0, Math.max(0, length - 1)).join('')}…`
}
