/** moleculer 0.15 over its own TCP transporter, with the serializer its documentation calls the fastest. */
import { load } from '../installed.ts'
import { listen } from './bare.ts'
import { closedLoop } from './load.ts'
import type { Echo, Side } from './side.ts'

interface Broker {
  createService(schema: object): void
  start(): Promise<void>
  waitForServices(name: string): Promise<void>
  call(action: string, params: unknown): Promise<unknown>
}

/** moleculer must be told its port, and that of the other, before either starts. */
async function freePort(): Promise<number> {
  const { port } = await listen((socket) => socket.destroy())
  return port + 1
}

function makeBroker(nodeID: string, port: number | null, urls: readonly string[]): Broker {
  const { ServiceBroker } = load('moleculer') as { ServiceBroker: new (options: object) => Broker }
  return new ServiceBroker({
    nodeID,
    logger: false,
    internalServices: false,
    serializer: 'CBOR',
    transporter: { type: 'TCP', options: { udpDiscovery: false, useHostname: false, port, urls } },
  })
}

export const moleculer: Side = {
  name: 'moleculer',
  settings:
    'moleculer 0.15.2: TCP transporter, `serializer: "CBOR"`, no logger, metrics, tracing or internal services',
  packages: ['moleculer', 'cbor-x'],
  servers: [
    async () => {
      const port = await freePort()
      const clientPort = port + 1
      const urls = [`tcp://127.0.0.1:${port}/server`, `tcp://127.0.0.1:${clientPort}/client`]
      const broker = makeBroker('server', port, urls)
      broker.createService({
        name: 'echo',
        actions: { run: ({ params }: { params: { body: unknown } }) => params.body },
      })
      await broker.start()
      return { urls, clientPort }
    },
  ],
  async connect([server]) {
    const broker = makeBroker('client', server?.['clientPort'] as number, server?.['urls'] as string[])
    await broker.start()
    await broker.waitForServices('echo')
    const echo: Echo = (key, body) => broker.call('echo.run', { key, body })
    return closedLoop(echo)
  },
}
