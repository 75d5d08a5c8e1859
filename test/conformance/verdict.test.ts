import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { judgeRun, type Check, type Expected, type Leg, type Run } from './verdict.ts'

const REVISION = '2026-07-28'
const good: Check = { id: 'a', status: 'SUCCESS' }
const bad: Check = { id: 'b', status: 'FAILURE', errorMessage: 'no b' }
const warned: Check = { id: 'c', status: 'WARNING' }
const skipped: Check = { id: 'd', status: 'SKIPPED' }

const runOf = (leg: Leg, checks: readonly Check[], unscored: readonly string[] = []): Run =>
  ({ leg, revision: REVISION, outcome: new Map([['one', checks]]), unscored: new Set(unscored) })
const expect = (what: Expected['what'], legs: readonly Leg[] = ['direct']): Expected[] => [{ revision: REVISION, scenario: 'one', legs, what, why: 'so it is' }]
const direct = (checks: readonly Check[]): Map<string, readonly Check[]> => new Map([['one', checks]])

for (const [name, run, measure, list, passed, note] of [
  ['passes where all succeeds', runOf('direct', [good, warned]), undefined, [], true, undefined],
  ['fails where a check fails', runOf('direct', [good, bad], ['one']), undefined, [], false, 'b fails: no b'],
  ['fails where nothing was looked at', runOf('direct', [skipped]), undefined, [], false, 'no check succeeds'],
  ['passes what is listed to fail', runOf('direct', [bad], ['one']), undefined, expect('fails'), true, 'fails, as expected: so it is'],
  ['passes what is listed to be empty', runOf('direct', [skipped], ['one']), undefined, expect('is empty'), true, 'is empty, as expected: so it is'],
  ['lists in vain what is required', runOf('direct', [bad]), undefined, expect('fails'), false, 'b fails: no b'],
  ['fails what is listed to fail and does not', runOf('direct', [good], ['one']), undefined, expect('fails'), false, 'is listed as one that fails, and does not'],
  ['leaves to its leg what is listed', runOf('mesh', [bad], ['one']), direct([bad]), expect('fails'), false, 'b fails: no b'],
  ['passes the mesh where it is like the measure', runOf('mesh', [good, skipped]), direct([skipped, good]), [], true, undefined],
  ['passes the mesh where it is better', runOf('mesh', [good], ['one']), direct([bad]), expect('fails'), true, undefined],
  ['fails the mesh with a check less', runOf('mesh', [good]), direct([good, good]), [], false, 'directly only: a SUCCESS'],
  ['fails the mesh with a warning more', runOf('mesh', [good, warned]), direct([good]), [], false, 'through the mesh only: c WARNING (without a reason)'],
  ['passes a difference that is listed', runOf('mesh', [good, warned], ['one']), direct([good]), expect('differs', ['mesh']), true, 'differs, as expected: so it is']
] as const) {
  test(name, () => {
    const [verdict] = judgeRun(run, measure, list)
    assert.is(verdict?.passed, passed, verdict?.notes.join('; '))
    assert.is(verdict?.notes[0], note)
  })
}

test('fails what did not run: of the measure, and of the list', () => {
  const run: Run = { leg: 'mesh', revision: REVISION, outcome: new Map(), unscored: new Set() }
  assert.equal(judgeRun(run, direct([good]), []), [{ scenario: 'one', passed: false, notes: ['did not run'] }])
  assert.equal(judgeRun(run, undefined, expect('fails', ['mesh'])), [{ scenario: 'one', passed: false, notes: ['is listed, and did not run'] }])
})

test.run()
