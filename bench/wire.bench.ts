/**
 * What does it cost to write and to read one packet? `node dist/bench/wire.bench.js`. encode+seal is values
 * to a datagram, open+decode is a datagram to values; plain unless the name says otherwise.
 */
import { cpus } from 'node:os'
import { Bench } from 'tinybench'
import type { Random } from '../src/env.ts'
import { Keyring } from '../src/wire/keyring.ts'
import { encodeMessage, type PacketMessage } from '../src/wire/message.ts'
import { type Envelope, PacketCodec } from '../src/wire/packet.ts'

const plain: Envelope = {
  ...{ label: '', keyring: undefined, verifyIncoming: true, verifyOutgoing: true, compress: false },
}
const random: Random = { u32: () => 0, bytes: (length) => new Uint8Array(length) }
const addr = Uint8Array.of(127, 0, 0, 1)
const ping: PacketMessage = {
  ...{
    type: 'ping',
    seqNo: 4711,
    node: 'worker-17',
    sourceAddr: addr,
    sourcePort: 7946,
    sourceNode: 'worker-3',
  },
}
const ack: PacketMessage = { type: 'ack', seqNo: 4711, payload: undefined }
const alive: PacketMessage = {
  ...{ type: 'alive', incarnation: 1_234_567, node: 'worker-17', addr, port: 7946 },
  ...{ meta: new Uint8Array(60).fill(97), vsn: Uint8Array.of(1, 5, 2, 0, 0, 0) },
}
const suspect: PacketMessage = { type: 'suspect', incarnation: 9, node: 'worker-17', from: 'worker-3' }

const bench = new Bench({ time: 500, warmupTime: 200 })
let visited = 0
const visit = (): void => {
  visited++
}

function add(name: string, messages: readonly PacketMessage[], envelope: Envelope, crc: boolean): void {
  const codec = new PacketCodec(envelope, random)
  const datagram = codec.seal(messages.map(encodeMessage), crc)
  // Tasks repeat the work, so that the timer's own cost does not count; ops are divided below.
  bench.add(`encode+seal ${name}`, () => {
    for (let i = 0; i < repeat; i++) codec.seal(messages.map(encodeMessage), crc)
  })
  bench.add(`open+decode ${name}`, () => {
    for (let i = 0; i < repeat; i++) codec.open(datagram, visit)
  })
}

const repeat = 100
const gossip = [ping, suspect, alive, alive, alive, alive]
add('ping', [ping], plain, false)
add('ack', [ack], plain, false)
add('alive', [alive], plain, false)
add('ping, label', [ping], { ...plain, label: 'shoal:demo' }, false)
add('alive, label, crc', [alive], { ...plain, label: 'shoal:demo' }, true)
add('compound of 6', gossip, plain, false)
add('compound of 6, label, crc', gossip, { ...plain, label: 'shoal:demo' }, true)
add('compound of 6, compressed', gossip, { ...plain, compress: true }, false)
add('ping, 256-bit key', [ping], { ...plain, keyring: new Keyring([new Uint8Array(32)]) }, false)

await bench.run()
console.log(
  `node ${process.version}, ${cpus()[0]?.model}; median of each task, spread as interquartile range`,
)
for (const task of bench.tasks) {
  const { result } = task
  if (result === undefined || !('latency' in result)) continue
  const { p50, p75, samplesCount } = result.latency
  const ns = (p50 / repeat) * 1e6
  const upper = (p75 / repeat) * 1e6
  console.log(
    `${task.name.padEnd(38)} ${ns.toFixed(0).padStart(6)} ns (p75 ${upper.toFixed(0)}) ${Math.round(1e9 / ns)
      .toLocaleString('en')
      .padStart(12)} ops/s, ${samplesCount} samples`,
  )
}
if (visited === 0) throw new Error('nothing was read')
