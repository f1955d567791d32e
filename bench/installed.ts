/**
 * The libraries that the benchmarks compare with. They are dependencies of bench/peers alone (`npm ci
 * --ignore-scripts` there); where they are not installed, the benchmarks say so and go on.
 */
import { createRequire } from 'node:module'

/** `require` as if from bench/peers. */
export const load: NodeJS.Require = createRequire(new URL('../../bench/peers/package.json', import.meta.url))

/** Puts `exports` in the place of a package that is installed but does not run here. */
export function standIn(name: string, exports: unknown): void {
  const filename = load.resolve(name)
  load.cache[filename] = { id: filename, filename, loaded: true, exports } as NodeJS.Module
}

/**
 * farmhash 3, which upring's ring asks for, or, where it has no binary (it is compiled at install), this package's
 * farmhash 5 in its place: the same hash, some 15 ns slower a call. Says which.
 */
export function loadFarmhash(): string {
  try {
    load('farmhash')
    return 'farmhash 3'
  } catch {
    standIn('farmhash', createRequire(import.meta.url)('farmhash'))
    return 'farmhash 5'
  }
}

/** Whether all these packages can be loaded from bench/peers. */
export function isInstalled(packages: readonly string[]): boolean {
  try {
    for (const name of packages) load.resolve(name)
    return true
  } catch {
    return false
  }
}
