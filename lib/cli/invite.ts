/** `invite`: prints a ticket, made by the peer that holds the folder, or in its stead where none runs. */
import { inviteFrom, type Invitation, type Role } from 'mcp-swarm'
import { useFolder } from './folder.ts'
import { next } from './look.ts'
import { duration } from './said.ts'
import { ask } from './request.ts'
import { findPlace, type CommonOptions } from './settings.ts'
import { askedToEnd } from './signal.ts'
import { reachHolder } from './socket.ts'
import type { Terminal } from './terminal.ts'

/** How long a peer that holds the folder may take to answer its socket, in milliseconds: it may be starting. */
const HOLDER_MS_MAX = 5_000

export interface InviteCommandOptions extends CommonOptions {
  readonly role?: Role
  /** Milliseconds. */
  readonly expires?: number
  readonly uses?: number
  /** Milliseconds. */
  readonly memberFor?: number
}

export async function invite ({ role, expires, uses, memberFor, ...options }: InviteCommandOptions, terminal: Terminal): Promise<void> {
  const place = findPlace(options)
  const signal = askedToEnd()
  const wanted = { role, expiresMs: expires, uses, memberForMs: memberFor }
  const { invitation, isUp } = await useFolder(HOLDER_MS_MAX, signal, async () => {
    const socket = await reachHolder(place.dir)
    return socket === undefined ? undefined : { invitation: await ask(socket, { do: 'invite', options: wanted }, { signal }) as Invitation, isUp: true }
  }, async () => ({ invitation: await inviteFrom(place.dir, wanted), isUp: false }))
  if (terminal.json) return terminal.print(JSON.stringify({ ...invitation, up: isUp }))
  terminal.print(invitation.ticket) // alone, so that it can be piped
  const { paint } = terminal
  const { joinBeforeMs, memberForMs } = invitation
  const field = (name: string, value: string): string => `  ${paint('dim', name.padEnd(8))}${value}`
  terminal.note([
    '',
    field('words', `${paint('bold', invitation.swarm.words ?? '')}  ${paint('dim', 'whoever joins sees the same six: compare them')}`),
    field('for', `${invitation.uses === 1 ? 'one peer' : `${invitation.uses} peers`}, as ${invitation.role}${memberForMs === null ? '' : `, for ${duration(memberForMs)} at a time`}`),
    field('until', new Date(joinBeforeMs).toISOString()),
    ...isUp ? [] : [`  ${paint('yellow', '!')} No peer of this folder runs: somebody who joins must find it up, on the same network or by another admin. With mcp-swarm up running, a ticket says where it is.`]
  ].join('\n'))
  next(terminal, `on the other machine: mcp-swarm join TICKET${isUp ? '' : `\n      here: mcp-swarm up${place.flags}`}`)
}
