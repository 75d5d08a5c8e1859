/** What a process of a benchmark can be asked to do by its parent (PeerProcess of rig.ts), by name. */
export type Verbs = Readonly<Record<string, (what: Record<string, string>) => Promise<unknown>>>

/** Does what the parent asks, answers with what comes of it, and ends with the parent. */
export function serveVerbs (verbs: Verbs): void {
  process.on('message', message => {
    const { id, verb, ...what } = message as { id: number, verb: string } & Record<string, string>
    const work = verbs[verb]?.(what) ?? Promise.reject(new Error(`no verb ${verb}`))
    work.then(
      answer => process.send?.({ id, answer }),
      (error: unknown) => process.send?.({ id, error: String(error) })
    )
  })
  process.on('disconnect', () => { process.exit() })
}
