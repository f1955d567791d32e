/** Definitions and references: what is checked, what callers say of their calls, and what the compiler knows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isShoalError } from '../../src/errors.ts'
import { createNode, type ReferencesOf, type ShoalNode } from '../../src/index.ts'
import { type CallBody, readCallBody } from '../../src/state/call-body.ts'
import { entity } from '../../src/state/entity.ts'
import type { OpenCall } from '../../src/state/open-calls.ts'
import { references } from '../../src/state/reference.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <T extends true>(value: T): T => value

const Cart = entity('cart', {
  open: (key, { node }) => {
    same<Equal<typeof key, string>>(true)
    same<Equal<typeof node, string>>(true)
    return [] as string[]
  },
  calls: {
    add(items, item: string) {
      items.push(item)
      return items.length
    },
    list: (items) => items,
    at: async (items, index: number | undefined, { signal, callId }) => {
      same<Equal<typeof items, string[]>>(true)
      same<Equal<typeof signal, AbortSignal>>(true)
      same<Equal<typeof callId, string>>(true)
      return items[index ?? 0]
    },
    any(_items, item) {
      same<Equal<typeof item, unknown>>(true)
    },
    take: (items, count?: number) => items.slice(0, count),
    image: (items) => (items.length > 0 ? Buffer.from(items.join('')) : undefined),
    packed: async () => new Float32Array(2),
  },
  interleave: ['list'],
  readonly: ['list', 'at'],
  snapshot: (items) => items.join('|'),
  restore(value: string, { version }) {
    same<Equal<typeof version, number>>(true)
    return value.split('|')
  },
  merge: (ours, theirs) => [...ours, ...theirs],
})

/** Never called: only compiled. */
export async function calls(node: ShoalNode): Promise<void> {
  const carts = node.host(Cart)
  same<Equal<typeof carts, ReferencesOf<typeof Cart>>>(true)
  const cart = carts.get('user-42')
  const added = await cart.add('net', { timeoutMs: 100, callId: 'order-7' })
  same<Equal<typeof added, number>>(true)
  const list = await cart.list()
  same<Equal<typeof list, string[]>>(true)
  await cart.list(undefined, { bulk: true })
  const item = await cart.at()
  same<Equal<typeof item, string | undefined>>(true)
  await cart.at(3)
  const nothing = await cart.any({ what: 'ever' })
  same<Equal<typeof nothing, void>>(true)
  const image = await cart.image()
  same<Equal<typeof image, Uint8Array | undefined>>(true)
  // @ts-expect-error a Buffer arrives as plain bytes
  image?.toString('base64')
  const packed = await cart.packed()
  same<Equal<typeof packed, Float32Array<ArrayBuffer>>>(true)
  await cart.take()
  await cart.take(3)
  // @ts-expect-error the handler takes text
  await cart.add(7)
  // @ts-expect-error it takes an item
  await cart.add()
  // @ts-expect-error it takes nothing
  await cart.list('all')
  // @ts-expect-error there is no such call
  await cart.remove('net')
  // @ts-expect-error there is no such option
  await cart.add('net', { timeout: 100 })
  const counter = entity('counter', {
    open: async () => ({ n: 0 }),
    calls: {
      add(state, by: number) {
        same<Equal<typeof state, { n: number }>>(true)
        state.n += by
        return state.n
      },
    },
  })
  const counted = await node.host(counter).get('k').add(2)
  same<Equal<typeof counted, number>>(true)
  // @ts-expect-error no call of this name
  entity('wrong', { open: () => 1, calls: { read: (n) => n }, interleave: ['write'] })
  // @ts-expect-error a merge of states
  entity('wrong', { open: () => 1, calls: { read: (n) => n }, merge: () => 'two' })
  node.on('conflict', ({ kept }) => same<Equal<typeof kept, 'ours' | 'theirs'>>(true))
}

const fine = { open: () => 0, calls: { read: (n: number) => n } }

test('a wrong definition is refused by the name of its option', () => {
  const cases: [RegExp, string, object][] = [
    [/a name without "\/"/, 'a/b', fine],
    [/a name without "\/"/, '', fine],
    [/a name without "\/"/, 'x'.repeat(128), fine],
    [/entity "e": no such option: opened/, 'e', { ...fine, opened: 1 }],
    [/open: expected a function, got undefined/, 'e', { calls: fine.calls }],
    [/calls: expected an object of functions/, 'e', { open: fine.open }],
    [/calls: expected an object of functions/, 'e', { ...fine, calls: [fine.open] }],
    [/calls: expected at least one call, got none/, 'e', { ...fine, calls: {} }],
    [/calls\.read: expected a function, got 7/, 'e', { ...fine, calls: { read: 7 } }],
    [
      /calls: expected other names than then/,
      'e',
      { ...fine, calls: Object.fromEntries([['then', fine.open]]) },
    ],
    [/calls: expected shorter names/, 'e', { ...fine, calls: { ['x'.repeat(127)]: fine.open } }],
    [/interleave: expected names of calls \(read\), got "write"/, 'e', { ...fine, interleave: ['write'] }],
    [/readonly: expected names of calls \(read\), got undefined/, 'e', { ...fine, readonly: [undefined] }],
    [/readonly: expected a list of calls, got "read"/, 'e', { ...fine, readonly: 'read' }],
    [/level: expected 'routed', 'handoff' or 'replicated', got "sure"/, 'e', { ...fine, level: 'sure' }],
    [/copies: expected level: 'replicated' beside it/, 'e', { ...fine, copies: 2 }],
    [/copies: expected a whole number from 2 to 7, got 1/, 'e', { ...fine, level: 'replicated', copies: 1 }],
    [/acks: expected a whole number from 1 to copies \(2\)/, 'e', { ...fine, level: 'replicated', acks: 3 }],
    [/quorum\.voters/, 'e', { ...fine, level: 'replicated', quorum: {} }],
    [/quorum: expected \{ voters \}.*, got 3/, 'e', { ...fine, level: 'replicated', quorum: 3 }],
    [/merge: expected a function that returns at once/, 'e', { ...fine, merge: async () => 1 }],
    [/version: expected a whole number from 0 to 65535/, 'e', { ...fine, version: 65_536 }],
    [/idleMs: expected a number from 1 to/, 'e', { ...fine, idleMs: 0 }],
    [/keysMax: expected a whole number from 1/, 'e', { ...fine, keysMax: 0.5 }],
    [/whenFull: expected keysMax or bytesMax beside it/, 'e', { ...fine, whenFull: 'evict' }],
    [/whenFull: expected 'refuse' or 'evict'/, 'e', { ...fine, keysMax: 1, whenFull: 'wait' }],
    [/remoteStacks: expected true or false/, 'e', { ...fine, remoteStacks: 1 }],
    [/snapshot: expected a function, got "json"/, 'e', { ...fine, snapshot: 'json' }],
  ]
  for (const [message, name, definition] of cases) {
    assert.throws(() => entity(name, definition as typeof fine), { code: 'ERR_SHOAL_OPTION', message })
  }
  assert.equal(entity('e', fine).level, 'handoff')
})

test('an entity is hosted once, before the start, and its key is a text', async () => {
  const node = createNode({ name: 'solo', port: 0, membershipThread: false })
  const hosted = node.host(Cart)
  assert.throws(() => node.host(Cart), { code: 'ERR_SHOAL_STATE', message: /"cart" is hosted already/ })
  for (const wrong of [{ name: 'cart' }, fine, undefined, null]) {
    assert.throws(() => node.host(wrong as never), {
      code: 'ERR_SHOAL_OPTION',
      message: 'host: expected what entity(name, { open, calls }) returned',
    })
  }
  assert.throws(() => hosted.get(7 as never), { code: 'ERR_SHOAL_OPTION' })
  await assert.rejects(hosted.get('k').add('a'), { code: 'ERR_SHOAL_STATE' })
  await node.close()
  assert.throws(() => node.host(entity('late', fine)), { code: 'ERR_SHOAL_STATE' })
})

interface Sent {
  readonly key: string
  readonly body: CallBody
  readonly open: OpenCall
}

function caller() {
  const sent: Sent[] = []
  const found = references(Cart, {
    origin: 'b1',
    call: (_method, key, body, _options, open) => {
      sent.push({ key, body: readCallBody(body) as CallBody, open })
      return new Promise(() => {})
    },
  })
  const told = (): unknown[] =>
    sent.map(({ key, body: { seq, previous, settledBelow } }) => [key, seq, previous, settledBelow])
  return { sent, told, get: (key: string) => found.get(key) }
}

test('each call says its number, the open one before it to its key, and what is settled', () => {
  const { sent, told, get } = caller()
  void get('a').add('1')
  void get('a').add('2')
  void get('b').add('3')
  sent[0]!.open.settled()
  void get('a').add('4')
  sent[2]!.open.settled()
  sent[1]!.open.settled()
  sent[1]!.open.settled()
  void get('b').add('5')
  sent[3]!.open.settled()
  sent[4]!.open.settled()
  void get('a').add('6')
  assert.deepEqual(told(), [
    ['a', 1, 0, 1],
    ['a', 2, 1, 1],
    ['b', 3, 0, 1],
    ['a', 4, 2, 2],
    ['b', 5, 0, 4],
    ['a', 6, 0, 6],
  ])
})

test('a callId that is too long, or none, is refused before the call counts', async () => {
  const { sent, get } = caller()
  for (const callId of ['x'.repeat(129), 'é'.repeat(65), 7 as never]) {
    await assert.rejects(
      get('a').add('1', { callId }),
      (error) => isShoalError(error) && /callId/.test(error.message),
    )
  }
  assert.equal(sent.length, 0)
  void get('a').add('1', { callId: 'é'.repeat(64) })
  assert.equal(sent[0]!.body.callId.length, 64)
})

test('a misspelled option of a call is refused before the call counts', async () => {
  const { sent, get } = caller()
  const wrong: [object | number, RegExp][] = [
    [{ timeout: 100 }, /^cart\/add: no such option: timeout$/],
    [{ hedge: true }, /no such option: hedge/],
    [{ signal: 5 }, /signal: expected an AbortSignal/],
    [{ detached: 'no' }, /detached: expected true or false/],
    [500, /options: expected an object behind the argument, got number/],
  ]
  for (const [options, message] of wrong) {
    await assert.rejects(get('a').add('1', options as object), { code: 'ERR_SHOAL_OPTION', message })
  }
  assert.equal(sent.length, 0)
  const { signal } = new AbortController()
  const all = { timeoutMs: 1, signal, bulk: true, whenStalled: 'fail', callId: 'c', detached: true } as const
  void get('a').add('1', all)
  assert.equal(sent.length, 1)
})

test('a call that was taken from its reference says so', async () => {
  const { sent, get } = caller()
  const { add } = get('a')
  await assert.rejects(add('1'), {
    code: 'ERR_SHOAL_OPTION',
    message: /^cart\/add: called without the reference/,
  })
  assert.equal(sent.length, 0)
})

test('a reference is no thenable and has the calls as its only members', async () => {
  const { get } = caller()
  const reference = get('k')
  assert.equal(await Promise.resolve(reference), reference)
  const members: string[] = []
  for (const name in reference) members.push(name)
  assert.deepEqual(members, ['add', 'list', 'at', 'any', 'take', 'image', 'packed'])
})
