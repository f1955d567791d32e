/**
 * One small fault. It is made in the compiled program, whose lines are those of the source without types (and
 * without `!`), so `find` is written as it stands in dist; how it is broken into lines does not matter.
 */
export interface Mutant {
  /** Room and what is broken, as in `swim/refutation-dropped`. */
  readonly id: string
  /** Which file, as in the repository: `src/…/….ts`. */
  readonly file: string
  /** Stands exactly once in the compiled file. */
  readonly find: string
  readonly replace: string
  /** The promise that is broken. */
  readonly why: string
  /** Tests that should notice, first the likeliest: words as for test/run.ts. All others follow if they do not. */
  readonly tests: readonly string[]
}

/** A change that no behaviour shows, and why: kept so that nobody tries it again. Not run and not counted. */
export interface Equivalent {
  readonly file: string
  readonly change: string
  readonly why: string
}

/** Where a mutant's file was compiled to, from the folder that holds dist. */
export function compiledFile({ file }: Mutant): string {
  return `dist/${file.replace(/\.ts$/, '.js')}`
}

/** The compiled text with the fault in it. Throws unless `find` is there exactly once. */
export function mutate(text: string, { id, find, replace }: Mutant): string {
  const words = find.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const places = [...text.matchAll(new RegExp(words.join('\\s+'), 'g'))]
  const [place] = places
  if (place === undefined || places.length > 1) {
    throw new Error(`${id} no longer applies: its text is there ${places.length} times, not once`)
  }
  return text.slice(0, place.index) + replace + text.slice(place.index + place[0].length)
}
