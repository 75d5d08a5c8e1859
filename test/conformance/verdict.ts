/**
 * What two runs of the suite say: one of the fixture served directly, which is the measure, one of it through the mesh.
 *
 * A scenario passes if none of its checks fails, if at least one succeeds (one that looked at nothing proves nothing), and, through
 * the mesh, if its checks came out as they do directly. Whatever is otherwise is listed beforehand, with the reason; what is
 * listed and came out well after all fails too, so that the list stays true.
 */

export type Leg = 'direct' | 'mesh'

export interface Check {
  readonly id: string
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO'
  readonly errorMessage?: string
}

/** Checks by scenario, in the order of the run. */
export type Outcome = ReadonlyMap<string, readonly Check[]>

/** What a scenario that nobody is scored by does. */
export interface Expected {
  readonly revision: string
  readonly scenario: string
  readonly legs: readonly Leg[]
  /** `fails`: some check fails. `is empty`: no check succeeds, and none fails. `differs`: other checks than directly, none failed. */
  readonly what: 'fails' | 'is empty' | 'differs'
  readonly why: string
}

export interface Run {
  readonly leg: Leg
  readonly revision: string
  readonly outcome: Outcome
  /** Scenarios that decide nothing about conformance. */
  readonly unscored: ReadonlySet<string>
}

export interface Verdict {
  readonly scenario: string
  readonly passed: boolean
  /** For a person: what is wrong, or why what looks wrong is not. */
  readonly notes: readonly string[]
}

/**
 * @param direct the same revision served directly, where `run` is the mesh's
 * @param list of all legs and revisions
 * @returns a verdict for each scenario that ran, or that the list names in vain
 */
export function judgeRun (run: Run, direct: Outcome | undefined, list: readonly Expected[]): Verdict[] {
  const mine = list.filter(({ legs, revision }) => revision === run.revision && legs.includes(run.leg))
  const verdicts = [...run.outcome].map(([scenario, checks]) => {
    const seen = direct === undefined ? lookAt(checks) : { ...lookAt(checks), ...compare(checks, direct.get(scenario)) }
    const expected = mine.filter(each => each.scenario === scenario)
    const wrong = Object.entries(seen).flatMap(([what, notes]) => expected.some(each => each.what === what && run.unscored.has(scenario)) ? [] : notes)
    const stale = expected.filter(({ what }) => seen[what] === undefined).map(({ what }) => `is listed as one that ${what}, and does not`)
    const reasons = expected.map(({ what, why }) => `${what}, as expected: ${why}`)
    return { scenario, passed: wrong.length + stale.length === 0, notes: [...wrong, ...stale, ...wrong.length + stale.length === 0 ? reasons : []] }
  })
  const missing = [...direct?.keys() ?? []].filter(scenario => !run.outcome.has(scenario))
  const named = mine.filter(({ scenario }) => !run.outcome.has(scenario))
  return [
    ...verdicts,
    ...missing.map(scenario => ({ scenario, passed: false, notes: ['did not run'] })),
    ...named.map(({ scenario }) => ({ scenario, passed: false, notes: ['is listed, and did not run'] }))
  ]
}

type Seen = Partial<Record<Expected['what'], string[]>>

function lookAt (checks: readonly Check[]): Seen {
  const failed = checks.filter(({ status }) => status === 'FAILURE')
  if (failed.length > 0) return { fails: failed.map(({ errorMessage, id }) => `${id} fails: ${errorMessage ?? 'without a reason'}`) }
  return checks.some(({ status }) => status === 'SUCCESS') ? {} : { 'is empty': ['no check succeeds'] }
}

/** Where directly some check fails, the mesh may do better: then there is nothing to be like. */
function compare (checks: readonly Check[], measure: readonly Check[] = []): Seen {
  if (measure.some(({ status }) => status === 'FAILURE') || checks.some(({ status }) => status === 'FAILURE')) return {}
  const [here, there] = [checks.map(nameOf), measure.map(nameOf)]
  const notes = [...without(there, here).map(name => `directly only: ${name}`), ...without(here, there).map(name => `through the mesh only: ${name}`)]
  return notes.length === 0 ? {} : { differs: notes }
}

function nameOf ({ errorMessage, id, status }: Check): string {
  return status === 'WARNING' ? `${id} ${status} (${errorMessage ?? 'without a reason'})` : `${id} ${status}`
}

/** What `left` has more often than `right`. */
function without (left: readonly string[], right: readonly string[]): string[] {
  const rest = [...right]
  return left.filter(name => {
    const at = rest.indexOf(name)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}
