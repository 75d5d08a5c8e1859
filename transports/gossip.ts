/** What every implementation of gossip refuses, in the same words. */
import { SwarmError } from '../lib/base/error.ts'
import { GOSSIP_BYTES_MAX, GOSSIP_TOPICS_MAX, GOSSIP_TOPIC_CHARS_MAX } from '../lib/base/network.ts'

/** @param joined topics this peer is in already @throws SwarmError OVERLOADED, TOO_LARGE */
export function checkJoin (topic: string, joined: number): void {
  checkTopic(topic)
  if (joined >= GOSSIP_TOPICS_MAX) throw new SwarmError('OVERLOADED', `join ${topic}: this peer is in ${joined} topics; limit ${GOSSIP_TOPICS_MAX}`)
}

/** @throws SwarmError TOO_LARGE */
export function checkPublish (topic: string, bytes: Uint8Array): void {
  checkTopic(topic)
  if (bytes.byteLength > GOSSIP_BYTES_MAX) throw new SwarmError('TOO_LARGE', `publish in ${topic}: ${bytes.byteLength} bytes; limit ${GOSSIP_BYTES_MAX}`)
}

function checkTopic (topic: string): void {
  if (topic.length > GOSSIP_TOPIC_CHARS_MAX) throw new SwarmError('TOO_LARGE', `a topic of ${topic.length} characters; limit ${GOSSIP_TOPIC_CHARS_MAX}`)
}
