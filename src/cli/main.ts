#!/usr/bin/env node
/**
 * The command line. Each command is one file and loads only when it is asked for. A failure is a non-zero exit
 * and one clear line on stderr: 1 when the cluster or the network said no, 2 when the command was mistyped.
 */
import { readFileSync } from 'node:fs'
import { isShoalError } from '../index.ts'
import { type Command, Failure, helpOf, readInput, UsageError } from './command.ts'
import { print } from './output.ts'

const commands: ReadonlyMap<string, { readonly does: string; load(): Promise<Command> }> = new Map([
  ['demo', { does: 'a live cluster of real processes', load: async () => (await import('./demo.ts')).demo }],
  [
    'drill',
    {
      does: 'restarts, kills, stops or splits processes under load',
      load: async () => (await import('./drill.ts')).drill,
    },
  ],
  ['agent', { does: 'runs one node', load: async () => (await import('./agent.ts')).agent }],
  ['members', { does: 'who is there', load: async () => (await import('./members.ts')).members }],
  ['owner', { does: 'where a key lives', load: async () => (await import('./owner.ts')).owner }],
  ['why', { does: 'why it lives there', load: async () => (await import('./why.ts')).why }],
  ['plan', { does: 'what a change would move', load: async () => (await import('./plan.ts')).plan }],
  ['call', { does: 'makes one call', load: async () => (await import('./call.ts')).call }],
])

async function main(args: readonly string[]): Promise<number> {
  const [name = '--help', ...rest] = args
  if (name === '--version') {
    print(version())
    return 0
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    print(overview())
    return args.length === 0 ? 2 : 0
  }
  const entry = commands.get(name)
  if (entry === undefined) return fail(`shoal: no command "${name}"; see shoal --help`, 2)
  try {
    const command = await entry.load()
    if (rest.includes('--help')) {
      print(helpOf(command))
      return 0
    }
    return await command.run(readInput(command, rest))
  } catch (error) {
    if (error instanceof UsageError)
      return fail(`shoal ${name}: ${error.message}; see shoal ${name} --help`, 2)
    if (isShoalError(error) || error instanceof Failure) return fail(`shoal ${name}: ${error.message}`, 1)
    throw error
  }
}

function fail(message: string, code: number): number {
  process.stderr.write(`${message.replaceAll('\n', ' ')}\n`)
  return code
}

function overview(): string {
  const rows = [...commands].map(([name, { does }]) => `  ${name.padEnd(10)}${does}`)
  return ['shoal COMMAND [flags]', '', ...rows, '', 'shoal COMMAND --help explains its flags.'].join('\n')
}

function version(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

// Whoever reads the output may stop before its end (`shoal members | head -1`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})
process.exitCode = await main(process.argv.slice(2))
