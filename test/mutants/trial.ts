/** Runs one compiled program in a process of its own, as far as its first failure. */
import { type ChildProcess, spawn } from 'node:child_process'

/** `failed` has the first failing test, or what the process said last. */
export type Outcome =
  | { readonly type: 'passed'; readonly ms: number }
  | { readonly type: 'failed'; readonly by: string; readonly ms: number }
  | { readonly type: 'timedOut'; readonly ms: number }

/** A fault that fills memory is to fail soon, and not to take the machine with it. */
const heapMegabytesMax = 1024
const keptChars = 4_000
/** An error, or a broken rule of a simulated run; not its summary. */
const complaint: RegExp = /^(?!\{).*(error|, at [\d.]+ ms)/i

const running = new Set<ChildProcess>()

/** Runs `args` under node in `folder`; TAP's first `not ok` ends it. */
export function tryOut(folder: string, args: readonly string[], timeoutMs: number): Promise<Outcome> {
  const startedAt = performance.now()
  const flags = ['--test-reporter=tap', `--max-old-space-size=${heapMegabytesMax}`]
  // A group of its own, so that what a test started ends with it.
  const child = spawn(process.execPath, [...flags, ...args], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let text = ''
  let said = ''
  let failed: string | undefined
  let late = false
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    const lines = text.split('\n')
    text = lines.pop() as string
    for (const line of lines) {
      if (complaint.test(line)) said += `${line}\n`
      const found = /^\s*not ok \d+ - (.*)$/.exec(line)
      if (found === null || failed !== undefined) continue
      failed = unescapeTap(found[1] as string)
      kill(child)
    }
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said = (said + chunk).slice(0, keptChars)
  })
  const timer = setTimeout(() => {
    late = true
    kill(child)
  }, timeoutMs)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      running.delete(child)
      const ms = performance.now() - startedAt
      if (failed !== undefined) resolve({ type: 'failed', by: failed, ms })
      else if (late) resolve({ type: 'timedOut', ms })
      else if (code === 0) resolve({ type: 'passed', ms })
      else resolve({ type: 'failed', by: lastWord(said) ?? `exit code ${code}`, ms })
    })
  })
}

/** Ends what still runs. */
export function endAll(): void {
  for (const child of running) kill(child)
}

function kill(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It ended by itself meanwhile.
  }
}

function unescapeTap(text: string): string {
  return text.replace(/\\(.)/g, '$1')
}

function lastWord(said: string): string | undefined {
  const lines = said.split('\n').filter((line) => line.trim() !== '')
  return (lines.find((line) => complaint.test(line)) ?? lines.at(-1))?.trim().slice(0, 160)
}
