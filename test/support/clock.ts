export { VirtualClock, settle } from '../../lib/base/virtual.ts'
