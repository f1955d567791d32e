/**
 * tentacoli 1.0 and upring 0.22, the ancestors. tentacoli leaves its socket to its user, so no-delay is set there, as
 * is its `codec`. upring owns its sockets and sets neither; the second row forces no-delay on them from outside.
 */
import { EventEmitter } from 'node:events'
import net, { type Socket } from 'node:net'
import { Packr, Unpackr } from 'msgpackr'
import { load, loadFarmhash, standIn } from '../installed.ts'
import { dial, listen } from './bare.ts'
import { closedLoop } from './load.ts'
import type { Echo, Load, Side, Told } from './side.ts'

type Callback = (error: Error | null, reply?: unknown) => void

interface Tentacoli extends NodeJS.ReadWriteStream {
  request(data: unknown, done: Callback): void
}

function tentacoliOn(socket: Socket): Tentacoli {
  const packr = new Packr({ useRecords: false })
  const unpackr = new Unpackr({ useRecords: false })
  const make = load('tentacoli') as (options: object) => Tentacoli
  const codec = {
    encode: (value: unknown) => packr.pack(value),
    decode: (bytes: Buffer) => unpackr.unpack(bytes) as unknown,
  }
  const stream = make({ codec, maxInflight: 1_024 })
  socket.pipe(stream).pipe(socket)
  return stream
}

export const tentacoli: Side = {
  name: 'tentacoli',
  settings: 'tentacoli 1.0.0: `codec` msgpackr, `maxInflight` 1024, no-delay set on its socket',
  packages: ['tentacoli'],
  servers: [
    () =>
      listen((socket) => {
        tentacoliOn(socket).on('request', (request: unknown, reply: Callback) => reply(null, request))
      }),
  ],
  async connect([server]) {
    const stream = tentacoliOn(await dial(server?.['port']))
    const echo: Echo = (key, body) =>
      new Promise((resolve, reject) => {
        stream.request({ method: 'echo', key, body }, (error, reply) => {
          if (error) reject(error)
          else resolve((reply as { body: unknown }).body)
        })
      })
    return closedLoop(echo)
  },
}

// ---- upring

interface UpRing extends EventEmitter {
  readonly _server: net.Server
  readonly _hashring: { readonly swim: EventEmitter }
  request(message: unknown, done: Callback): void
}

interface UpRingOptions {
  readonly host: string
  readonly logLevel: string
  readonly client?: boolean
}

/**
 * Its gossip needs an add-on that no longer builds, so an emitter stands in for it (as in ring-peers.ts) and members
 * arrive as its events. Everything between `request` and the socket is upring's own.
 */
async function startUpring(client: boolean): Promise<UpRing> {
  standIn('baseswim', () => {
    const swim = new EventEmitter()
    setImmediate(() => swim.emit('up'))
    return Object.assign(swim, { whoami: () => (client ? 'client' : 'server'), leave() {} })
  })
  loadFarmhash()
  const make = load('upring') as (options: UpRingOptions) => UpRing
  const upring = make({ host: '127.0.0.1', logLevel: 'silent', ...(client ? { client } : {}) })
  await new Promise<void>((resolve) => upring.once('up', () => resolve()))
  return upring
}

async function serveUpring(noDelay: boolean): Promise<Told> {
  const upring = await startUpring(false)
  if (noDelay) upring._server.on('connection', (socket) => socket.setNoDelay(true))
  upring.on('request', ({ body }: { body: unknown }, reply: Callback) => {
    // JSON carries no bytes: they are text on the way, and bytes for the handler.
    const value = typeof body === 'string' ? Buffer.from(body, 'base64') : body
    reply(null, { body: value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value })
  })
  return { port: (upring._server.address() as net.AddressInfo).port }
}

async function callUpring(server: Told | undefined, noDelay: boolean): Promise<Load> {
  if (noDelay) {
    const { connect } = net
    Object.assign(net, { connect: (...args: [number, string]) => connect(...args).setNoDelay(true) })
  }
  const upring = await startUpring(true)
  const meta = { ringname: 'hashring', upring: { address: '127.0.0.1', port: server?.['port'] } }
  upring._hashring.swim.emit('peerUp', { host: 'server', meta })
  const echo: Echo = (key, body) =>
    new Promise((resolve, reject) => {
      const sent = body instanceof Uint8Array ? Buffer.from(body).toString('base64') : body
      upring.request({ key, cmd: 'echo', body: sent }, (error, reply) => {
        if (error) return reject(error)
        const value = (reply as { body: unknown }).body
        resolve(typeof value === 'string' ? Buffer.from(value, 'base64') : value)
      })
    })
  return closedLoop(echo)
}

function upringSide(name: string, noDelay: boolean, settings: string): Side {
  return {
    name,
    settings,
    packages: ['upring', 'swim-hashring', 'tentacoli'],
    servers: [() => serveUpring(noDelay)],
    connect: ([server]) => callUpring(server, noDelay),
  }
}

export const upring: Side = upringSide(
  'upring',
  false,
  'upring 0.22.0 as shipped, its gossip stood in for; JSON, so bytes travel as base64',
)
export const upringNoDelay: Side = upringSide(
  'upring-nodelay',
  true,
  'the same with no-delay forced on its sockets from outside',
)
