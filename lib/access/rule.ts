import { SwarmError } from '../base/error.ts'
import { publicKeyOf } from '../identity/key.ts'
import type { Role } from './grant.ts'

/** Whom an agent serves, one selector of an `allow` list. */
export type Rule =
  | { readonly kind: 'all' }
  | { readonly kind: 'role', readonly role: Role }
  | { readonly kind: 'peer', readonly peerId: string }

/** What counts where nothing is said: every member, so every admin too. */
export const DEFAULT_RULES: readonly Rule[] = [{ kind: 'role', role: 'member' }]

const FORMS = '"all", "role:member", "role:admin" or "peer:12D3KooW…"'

/** Reads one selector. @throws SwarmError CONFIG_INVALID naming it, also in `details.rule` */
export function parseRule (text: string): Rule {
  if (text === 'all') return { kind: 'all' }
  const [kind, value] = [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)]
  if (kind === 'role' && (value === 'admin' || value === 'member')) return { kind, role: value }
  if (kind === 'peer') return { kind, peerId: checkedPeerId(value, text) }
  throw new SwarmError('CONFIG_INVALID', `${JSON.stringify(text)} in an allow list is none of ${FORMS}`, { details: { rule: text } })
}

/**
 * Whether any rule names this admitted peer. An empty list allows nobody; a list that is not there is DEFAULT_RULES.
 */
export function allows (rules: readonly Rule[] = DEFAULT_RULES, who: { readonly peerId: string, readonly role: Role }): boolean {
  return rules.some(rule => {
    switch (rule.kind) {
      case 'all': return true
      case 'role': return rule.role === who.role || who.role === 'admin'
      case 'peer': return rule.peerId === who.peerId
    }
  })
}

function checkedPeerId (peerId: string, text: string): string {
  try {
    publicKeyOf(peerId)
    return peerId
  } catch (cause) {
    throw new SwarmError('CONFIG_INVALID', `${JSON.stringify(text)} in an allow list names no peer id; those start with 12D3KooW`, { cause, details: { rule: text } })
  }
}
