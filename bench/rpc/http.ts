/**
 * HTTP/1.1 keep-alive: undici against `node:http`. The key is in the path, the body msgpackr or bytes. Once pipelined on
 * one connection (`Client`), once over as many connections as calls are under way, at most 64 (`Pool`).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Unpackr } from 'msgpackr'
import { load } from '../installed.ts'
import { closedLoop, toBytes } from './load.ts'
import type { Echo, Load, Side, Told } from './side.ts'

interface Response {
  readonly statusCode: number
  readonly body: { bytes(): Promise<Uint8Array> }
}
interface Dispatcher {
  request(options: object): Promise<Response>
}
interface Undici {
  readonly Client: new (origin: string, options: object) => Dispatcher
  readonly Pool: new (origin: string, options: object) => Dispatcher
}

const valueType = 'application/msgpack'
const bytesType = 'application/octet-stream'
const unpackr = new Unpackr({ useRecords: false })

function fromBytes(bytes: Uint8Array, type: string | undefined): unknown {
  return type === valueType ? unpackr.unpack(bytes) : bytes
}

function typeOf(body: unknown): string {
  return body instanceof Uint8Array ? bytesType : valueType
}

function handle(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const received = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
    const body = fromBytes(received, request.headers['content-type'])
    const bytes = toBytes(body)
    response.writeHead(200, { 'content-type': typeOf(body), 'content-length': bytes.length })
    response.end(bytes)
  })
}

function serve(): Promise<Told> {
  const server = createServer({ noDelay: true, keepAlive: true }, handle)
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ port: (server.address() as { port: number }).port }))
  })
}

function echoBy(client: Dispatcher): Load {
  const echo: Echo = async (key, body) => {
    const reply = await client.request({
      method: 'PUT',
      path: `/echo/${key}`,
      headers: { 'content-type': typeOf(body) },
      body: toBytes(body),
      // Both are needed for a request with a body to be pipelined.
      idempotent: true,
      blocking: false,
    })
    const bytes = await reply.body.bytes()
    if (reply.statusCode !== 200) throw new Error(`status ${reply.statusCode}`)
    return fromBytes(bytes, typeOf(body))
  }
  return closedLoop(echo)
}

export const httpClient: Side = {
  name: 'undici-client',
  settings:
    'undici 7.30 `Client` with `pipelining: 256`, requests `idempotent` and not `blocking`, one connection, against node:http, keep-alive',
  packages: ['undici'],
  servers: [serve],
  connect([server]) {
    const { Client } = load('undici') as Undici
    return Promise.resolve(echoBy(new Client(`http://127.0.0.1:${server?.['port']}`, { pipelining: 256 })))
  },
}

export const httpPool: Side = {
  name: 'undici-pool',
  settings: 'undici 7.30 `Pool` with `connections: 64`, no pipelining, against node:http, keep-alive',
  packages: ['undici'],
  servers: [serve],
  connect([server]) {
    const { Pool } = load('undici') as Undici
    return Promise.resolve(echoBy(new Pool(`http://127.0.0.1:${server?.['port']}`, { connections: 64 })))
  },
}
