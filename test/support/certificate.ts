/** A certificate for `localhost` that signs itself, made anew: RFC 5280, in the encoding of ITU-T X.690, with nothing in it that a test does not need. */
import { generateKeyPairSync, sign } from 'node:crypto'

const DAY_MS = 86_400_000

export interface Certificate {
  /** Both as PEM. */
  readonly key: string
  readonly cert: string
}

export function makeCertificate (nowMs = Date.now()): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const algorithm = sequence(oid('2a8648ce3d040302')) // ecdsa-with-SHA256
  const name = sequence(part(0x31, sequence(oid('550403'), part(0x0c, Buffer.from('localhost')))))
  const extensions = sequence(
    sequence(oid('551d13'), part(0x01, Buffer.of(255)), part(0x04, sequence(part(0x01, Buffer.of(255))))), // an authority, for itself
    sequence(oid('551d11'), part(0x04, sequence(part(0x82, Buffer.from('localhost')))))) // its other name
  const body = sequence(
    part(0xa0, part(0x02, Buffer.of(2))), part(0x02, Buffer.of(1)), algorithm, name, sequence(time(nowMs - DAY_MS), time(nowMs + DAY_MS)), name,
    publicKey.export({ type: 'spki', format: 'der' }), part(0xa3, extensions))
  const signed = sequence(body, algorithm, part(0x03, Buffer.concat([Buffer.of(0), sign('sha256', body, privateKey)])))
  const lines = signed.toString('base64').match(/.{1,64}/g) ?? []
  return { key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })), cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n` }
}

function part (tag: number, content: Buffer): Buffer {
  const { byteLength } = content
  const length = byteLength < 128 ? [byteLength] : byteLength < 256 ? [0x81, byteLength] : [0x82, byteLength >>> 8, byteLength & 255]
  return Buffer.concat([Buffer.of(tag, ...length), content])
}

const sequence = (...parts: readonly Buffer[]): Buffer => part(0x30, Buffer.concat(parts))

const oid = (hex: string): Buffer => part(0x06, Buffer.from(hex, 'hex'))

/** As YYMMDDhhmmssZ. */
const time = (ms: number): Buffer => part(0x17, Buffer.from(`${new Date(ms).toISOString().slice(2, 19).replaceAll(/\D/g, '')}Z`))
