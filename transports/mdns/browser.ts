import type { OpenMdns } from './open.ts'

/** A page can send no multicast. */
export const openMdns: OpenMdns | undefined = undefined
