/** Where a shared server is, and a connection to it. */
import type { Transport } from '@modelcontextprotocol/client'

export type { Transport }

/** A server that is started as a child process and speaks on its stdin and stdout. */
export interface CommandSource {
  readonly command: string
  readonly args?: readonly string[]
  /** Added to the few variables a command gets anyway (PATH, HOME and the like): nothing else of ours is handed on. */
  readonly env?: Readonly<Record<string, string>>
  /** Folder it runs in. Default: ours. */
  readonly cwd?: string
}

/** A server reached by Streamable HTTP. */
export interface UrlSource {
  readonly url: string | URL
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * A server made with the SDK in this process, not yet connected: `McpServer` or `Server`, of v1 or v2. It is typed by what
 * the two have in common.
 */
export interface InstanceSource {
  connect (transport: never): Promise<void>
}

export interface Link {
  /** Not started. */
  readonly transport: Transport
  /** Present where ending the transport is not all there is to do. */
  readonly close?: () => Promise<void>
  /** Why it has ended or could not start, in words for people; undefined while nothing is wrong. */
  readonly trouble: () => Trouble | undefined
}

export interface Trouble {
  /** `exited with code 1`, for example. Every peer may see it. */
  readonly reason: string
  /** The last thing it said: for its owner alone, for nobody knows what secrets a dying server prints. */
  readonly said?: string
  /** Nothing that was tried again in the same way would help: what a person should look at. */
  readonly check?: string
  /** Facts for a program, as plain JSON. */
  readonly details: Readonly<Record<string, unknown>>
}
