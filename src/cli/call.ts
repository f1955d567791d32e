/** `shoal call`: one request, routed to the owner of a key. */
import { type Command, UsageError } from './command.ts'
import { asObserver, toolFlags } from './observer.ts'
import { print, printJson, toJson } from './output.ts'

export const call: Command = {
  name: 'call',
  summary: 'Makes one call; it runs on the owner of the key. Agents answer "echo".',
  operands: 'METHOD KEY [JSON]',
  flags: { idempotent: { help: 'the call may run twice: repeat it when no reply arrives' }, ...toolFlags },
  run(input) {
    const [method = '', key = '', json] = input.operands
    const body = json === undefined ? undefined : readJson(json)
    return asObserver(input, async (node) => {
      const owner = node.owner(key) ?? null
      const reply = await node.request({ method, key, body, idempotent: input.on('idempotent') })
      if (input.on('json')) printJson({ key, owner, reply: reply ?? null })
      else print(toJson(reply, 2))
    })
  },
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new UsageError(`the body is not JSON: ${(cause as Error).message}`, { cause })
  }
}
