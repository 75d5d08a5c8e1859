/** What needs Node's processes, pipes and ports: `mcp-swarm/mcp/stdio`. */
export { connectClient } from './client.ts'
export type { ClientOptions, ToolClient, ToolClientCall } from './client.ts'
export { serveGatewayOn } from './gateway-streams.ts'
export { serveGatewayHttp } from './http.node.ts'
export type { HttpGateway, HttpGatewayOptions } from './http.node.ts'
export { loadOrCreateToken } from './token.node.ts'
