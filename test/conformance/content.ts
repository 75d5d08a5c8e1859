/** The smallest of each kind of content. */
import type { ImageContent, AudioContent, TextContent } from '@modelcontextprotocol/server'

/** One grey pixel. */
export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg=='

/** Two samples of silence. */
export const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQIAAACAgA=='

export const image: ImageContent = { type: 'image', data: PNG, mimeType: 'image/png' }

export const audio: AudioContent = { type: 'audio', data: WAV, mimeType: 'audio/wav' }

export function text (text: string): TextContent {
  return { type: 'text', text }
}

/** The result of a tool that has one thing to say. */
export function say (words: string): { content: TextContent[] } {
  return { content: [text(words)] }
}
