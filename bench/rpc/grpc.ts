/** @grpc/grpc-js: a unary call with serializers of our own (msgpackr), which is less work than protobuf by reflection. */
import { Packr, Unpackr } from 'msgpackr'
import { load } from '../installed.ts'
import { closedLoop } from './load.ts'
import type { Echo, Side } from './side.ts'

interface Message {
  readonly key: string
  readonly body: unknown
}
type Done = (error: Error | null, reply?: Message) => void

interface Grpc {
  readonly Server: new (
    options: object,
  ) => {
    addService(service: object, handlers: object): void
    bindAsync(address: string, credentials: unknown, done: (error: Error | null, port: number) => void): void
  }
  readonly ServerCredentials: { createInsecure(): unknown }
  readonly credentials: { createInsecure(): unknown }
  makeClientConstructor(
    service: object,
    name: string,
  ): new (
    address: string,
    credentials: unknown,
    options: object,
  ) => { run(message: Message, done: Done): void }
}

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false })
const serialize = (message: Message): Buffer => packr.pack(message)
const deserialize = (bytes: Buffer): Message => unpackr.unpack(bytes) as Message

const service = {
  run: {
    path: '/shoal.Echo/run',
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  },
}
const options = { 'grpc.enable_channelz': 0, 'grpc.enable_retries': 0 }

export const grpc: Side = {
  name: 'grpc-js',
  settings:
    '@grpc/grpc-js 1.14.7: unary call, msgpackr serializers, channelz and retries off, one channel, no TLS',
  packages: ['@grpc/grpc-js'],
  servers: [
    () => {
      const { Server, ServerCredentials } = load('@grpc/grpc-js') as Grpc
      const server = new Server(options)
      server.addService(service, {
        run: ({ request }: { request: Message }, done: Done) => done(null, request),
      })
      return new Promise((resolve, reject) => {
        server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
          if (error) reject(error)
          else resolve({ port })
        })
      })
    },
  ],
  connect([server]) {
    const { makeClientConstructor, credentials } = load('@grpc/grpc-js') as Grpc
    const Client = makeClientConstructor(service, 'Echo')
    const client = new Client(`127.0.0.1:${server?.['port']}`, credentials.createInsecure(), options)
    const echo: Echo = (key, body) =>
      new Promise((resolve, reject) => {
        client.run({ key, body }, (error, reply) => {
          if (error) reject(error)
          else resolve(reply?.body)
        })
      })
    return Promise.resolve(closedLoop(echo))
  },
}
