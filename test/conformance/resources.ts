/** Resources: a text, an image, one by a template, and one to watch. */
import { ResourceTemplate, type McpServer } from '@modelcontextprotocol/server'
import { PNG } from './content.ts'

/** URIs that a client of 2025-11-25 watches at once; those of the fixture are few. */
const WATCHED_MAX = 100

export function addResources (mcp: McpServer): void {
  mcp.registerResource('static-text', 'test://static-text', { description: 'A text', mimeType: 'text/plain' }, ({ href }) => one(href, 'text/plain', 'a text'))
  mcp.registerResource('static-binary', 'test://static-binary', { description: 'An image', mimeType: 'image/png' }, ({ href }) => ({ contents: [{ uri: href, mimeType: 'image/png', blob: PNG }] }))
  mcp.registerResource('watched-resource', 'test://watched-resource', { description: 'Can be watched', mimeType: 'text/plain' }, ({ href }) => one(href, 'text/plain', 'nothing yet'))
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined })
  mcp.registerResource('template', template, { description: 'The data of an id', mimeType: 'application/json' }, ({ href }, { id }) => one(href, 'application/json', JSON.stringify({ id })))
  const watched = new Set<string>()
  mcp.server.setRequestHandler('resources/subscribe', ({ params: { uri } }) => {
    if (watched.size < WATCHED_MAX) watched.add(uri)
    return {}
  })
  mcp.server.setRequestHandler('resources/unsubscribe', ({ params: { uri } }) => {
    watched.delete(uri)
    return {}
  })
}

function one (uri: string, mimeType: string, text: string): { contents: { uri: string, mimeType: string, text: string }[] } {
  return { contents: [{ uri, mimeType, text }] }
}
