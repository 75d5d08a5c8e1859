import { SwarmError } from '../../lib/base/error.ts'

/** What helps, by what the system says. */
const CURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program keeps UDP port 5353 to itself; end it, or set it to share the port',
  EACCES: 'the system does not allow UDP port 5353; run where it does',
  EPERM: 'a firewall of this machine drops what is sent; allow UDP port 5353 to 224.0.0.251 and ff02::fb',
  ENETUNREACH: 'the system has no way for multicast; connect the network, or add a route for 224.0.0.0/4',
  ENODEV: 'the interface takes no multicast; use another',
  EADDRNOTAVAIL: 'the interface has lost its address; connect the network again',
  SILENT: 'what is sent is not heard, not even here; allow UDP port 5353 from 224.0.0.251 and ff02::fb in the firewall of this machine'
}

/** @param failing what fails, by interface @param links how many interfaces there are; none: the machine is on no network */
export function blockedError (failing: readonly { readonly name: string, readonly code: string }[], links: number): SwarmError {
  if (links === 0) {
    return new SwarmError('MULTICAST_BLOCKED', 'peers on the LAN cannot be found: no network interface is up; connect one, and they are looked for at once', {
      details: { reason: 'NO_INTERFACE', interfaces: [] }
    })
  }
  const names = [...new Set(failing.map(({ name }) => name))].sort()
  const code = failing[0]?.code ?? 'UNKNOWN'
  const cure = CURES[code] ?? `the system says ${code}`
  return new SwarmError('MULTICAST_BLOCKED', `peers on the LAN cannot be found on ${names.join(', ')}: ${cure}`, {
    details: { reason: code, interfaces: names, others: links - failing.length }
  })
}
