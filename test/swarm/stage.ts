/** Peers of a user of the test's own, on real sockets: each scene closes what it has joined. */
import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError, type ErrorCode } from '../../lib/base/error.ts'
import { joinSwarm } from '../../lib/swarm/join.ts'
import type { JoinOptions } from '../../lib/swarm/options.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { within } from '../support/within.ts'
import { becomeUser, type User } from './user.ts'

export interface Stage {
  readonly user: User
  readonly joined: (options: JoinOptions) => Promise<Swarm>
  /** That joining fails with a code. */
  readonly fails: (options: JoinOptions, code: ErrorCode) => Promise<SwarmError>
  readonly scene: (name: string, body: () => Promise<void>) => void
}

/** Must be opened before anything asks for the user's folders. @param joinMs how long one join may take, and `sceneMs` a scene */
export async function openStage (test: Test, { joinMs, sceneMs }: { readonly joinMs: number, readonly sceneMs: number }): Promise<Stage> {
  const user = await becomeUser()
  const opened: Swarm[] = []
  test.after(async () => { await user.leave() })

  async function joined (options: JoinOptions): Promise<Swarm> {
    const swarm = await within(joinMs, 'joining', joinSwarm(options))
    opened.push(swarm)
    return swarm
  }

  async function fails (options: JoinOptions, code: ErrorCode): Promise<SwarmError> {
    try {
      await joined(options)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      assert.is(error.code, code, error.message)
      return error
    }
    throw new Error(`joined, though ${code} was expected`)
  }

  function scene (name: string, body: () => Promise<void>): void {
    test(name, async () => {
      try {
        await within(sceneMs, name, body())
      } catch (error) {
        throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}\n${error.stack}`, { cause: error }) : error
      } finally {
        await Promise.all(opened.splice(0).map(async swarm => { await swarm.close() }))
      }
    })
  }

  return { user, joined, fails, scene }
}

/** Hosts an agent with a tool that says what it is given. */
export async function offerEcho (swarm: Swarm): Promise<void> {
  const agent = swarm.agent('echoes')
  agent.tool('say', { description: 'Says it', input: { type: 'object', properties: { text: { type: 'string' } } } }, ({ text }) => text as string)
  await agent.start()
}
