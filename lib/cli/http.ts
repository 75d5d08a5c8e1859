/** The gateway over HTTP, as `up` serves it: where it listens, and what a client has to show. */
import { join } from 'node:path'
import { SwarmError, systemClock, type Swarm } from 'mcp-swarm'
import { loadOrCreateToken, serveGatewayHttp, type HttpGateway } from 'mcp-swarm/mcp/stdio'
import { ANSWER_MS_MAX, meet } from './meet.ts'
import type { ShowOptions } from './request.ts'
import { quote } from './settings.ts'
import { viewOf } from './view.ts'

/** The port where none is named; where it is busy, any that is free. */
export const PORT_DEFAULT = 7337

/** The file below the data folder that holds the token. */
const TOKEN_NAME = 'gateway.token'

export interface HttpOptions extends ShowOptions {
  /** One that is named and busy is an error. 0: any that is free. */
  readonly port?: number
  /** False: no token is asked for. */
  readonly token?: boolean
}

export interface HttpServing {
  readonly url: string
  /** The file with the token; undefined where none is asked for. */
  readonly tokenPath: string | undefined
  close (): Promise<void>
}

/**
 * @param dir the data folder, held by this process
 * @throws SwarmError PORT_IN_USE, INVALID_OPTION, KEY_EXPOSED, KEY_INVALID, FOLDER_UNUSABLE
 */
export async function serveHttp (swarm: Swarm, dir: string, { port, prefix, token, tools }: HttpOptions): Promise<HttpServing> {
  const tokenPath = token === false ? undefined : join(dir, TOKEN_NAME)
  const shown = tokenPath === undefined ? undefined : await loadOrCreateToken(tokenPath)
  const gone = new AbortController()
  const ready = meet(swarm, gone.signal, { answerMs: ANSWER_MS_MAX })
  const listen = async (at: number): Promise<HttpGateway> => await serveGatewayHttp(viewOf(swarm, prefix), {
    port: at, token: shown, tools, clock: systemClock, ready, report: error => { process.stderr.write(`mcp-swarm: gateway: ${error.message}\n`) }
  })
  try {
    const gateway = await listen(port ?? PORT_DEFAULT).catch(async (error: unknown) => {
      if (port !== undefined || !(error instanceof SwarmError && error.code === 'PORT_IN_USE')) throw error
      return await listen(0)
    })
    return {
      url: gateway.url,
      tokenPath,
      async close () {
        gone.abort()
        await gateway.close()
      }
    }
  } catch (error) {
    gone.abort()
    throw error
  }
}

/** The command that registers the gateway with Claude Code. A shell puts the token in: it is never shown. */
export function registerCommand ({ url, tokenPath }: HttpServing): string {
  const command = `claude mcp add --transport http swarm ${url}`
  return tokenPath === undefined ? command : `${command} --header "Authorization: Bearer $(cat ${quote(tokenPath)})"`
}
