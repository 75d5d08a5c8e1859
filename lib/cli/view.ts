import { gatewayView, type Prefix, type Swarm } from 'mcp-swarm'

type View = ReturnType<typeof gatewayView>

const views = new WeakMap<Swarm, Map<Prefix, View>>()

/** The swarm as gateways show it: one view for every client of this process, so that its lists are made once. */
export function viewOf (swarm: Swarm, prefix: Prefix = 'auto'): View {
  const known = views.get(swarm) ?? new Map<Prefix, View>()
  const view = known.get(prefix) ?? gatewayView(swarm, { prefix })
  views.set(swarm, known.set(prefix, view))
  return view
}
