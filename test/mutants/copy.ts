/** A copy of the built program in a folder of its own, where one fault at a time is put in and taken out again. */
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compiledFile, type Mutant, mutate } from './mutant.ts'

/** Tests read these beside the program; all else is linked. */
const notLinked: ReadonlySet<string> = new Set(['dist', '.git'])

export class ProgramCopy {
  readonly folder: string

  /** Copies what is built in `root` to `folder`, which must not exist. */
  constructor(root: string, folder: string) {
    this.folder = folder
    mkdirSync(folder, { recursive: true })
    for (const name of readdirSync(root)) {
      if (!notLinked.has(name)) symlinkSync(join(root, name), join(folder, name))
    }
    cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
  }

  /** Runs `use` while the fault is in. Throws if it does not apply. */
  async with<T>(mutant: Mutant, use: () => Promise<T>): Promise<T> {
    const path = join(this.folder, compiledFile(mutant))
    const sound = readFileSync(path, 'utf8')
    writeFileSync(path, mutate(sound, mutant))
    try {
      return await use()
    } finally {
      writeFileSync(path, sound)
    }
  }
}
