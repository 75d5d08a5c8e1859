/** Folding and merging in a page: in slices, since a worker there could not load the page's own copy of Yjs. */
import type { Clock } from '../lib/base/clock.ts'
import { foldInSlices, type Fold } from './fold.ts'
import { mergeInSlices, type Merge } from './merge.ts'
import { turn } from './turn.ts'

export function foldAside (_clock: Clock): Fold {
  return async folding => await foldInSlices(folding, turn)
}

export function mergeAside (_clock: Clock): Merge {
  return async merging => await mergeInSlices(merging, turn)
}
