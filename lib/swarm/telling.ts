/** What a swarm tells its program, and what a change of the directory means to the neighbours. */
import { afterTurn } from '../base/clock.ts'
import { Emitter } from '../base/emitter.ts'
import type { AgentView, Change, PeerView } from '../directory/directory.ts'
import type { ConfigChanges } from './changes.ts'
import type { Neighbours } from './neighbours.ts'
import type { Trouble } from './troubles.ts'

export interface SwarmEvents {
  'peer:joined': PeerView
  'peer:left': PeerView
  'agent:added': AgentView
  'agent:changed': AgentView
  'agent:removed': AgentView
  /** What may be called has changed: at most once in a turn. */
  'tools:changed': undefined
  /** Something went wrong that no call can tell: a shared server that died, a record that could not be made. */
  'trouble': Trouble
  /** A trouble that was told of is over. */
  'trouble:over': Trouble
  /** Another config was taken over, and differs. */
  'config:changed': ConfigChanges
}

const AGENT_EVENTS = { 'agent-added': 'agent:added', 'agent-changed': 'agent:changed', 'agent-removed': 'agent:removed' } as const

export class Telling {
  readonly events = new Emitter<SwarmEvents>()
  #isTelling = false

  /**
   * The directory has changed.
   *
   * @param isSought whether to keep a peer in mind for dialling
   */
  changed (changes: readonly Change[], neighbours: Pick<Neighbours, 'see' | 'unsee' | 'forget' | 'gone'>, isSought: (peerId: string) => boolean): void {
    for (const change of changes) {
      switch (change.kind) {
        case 'peer-joined':
        case 'peer-updated':
          if (change.peer.self) break
          if (isSought(change.peer.peerId)) neighbours.see(change.peer.peerId, change.peer.addresses, 'record')
          if (change.kind === 'peer-joined') this.events.emit('peer:joined', change.peer)
          break
        case 'peer-left':
          if (change.why === 'left') neighbours.forget(change.peer.peerId)
          else neighbours.gone(change.peer.peerId)
          this.events.emit('peer:left', change.peer)
          break
        case 'peer-forgotten':
          neighbours.unsee(change.peerId, 'record')
          break
        default:
          this.events.emit(AGENT_EVENTS[change.kind], change.agent)
      }
    }
    this.#tellTools()
  }

  #tellTools (): void {
    if (this.#isTelling) return
    this.#isTelling = true
    afterTurn(() => {
      this.#isTelling = false
      this.events.emit('tools:changed', undefined)
    })
  }
}
