/** Binding a node's ports, with errors that say which option to change. */
import { joinAddress } from './address.ts'
import type { Address, ByteStream, Listener, Network } from './env.ts'
import { ShoalError } from './errors.ts'
import type { NodeConfig } from './options.ts'

/** How far above the gossip port the search for an RPC port begins, and how many are tried. */
const rpcPortOffset = 1000
const rpcPortsTried = 100

/** Listens for RPC on the port of the options, or on the first free one of the default range. */
export async function listenRpc(
  network: Network,
  { host, port, rpcPort }: Pick<NodeConfig, 'host' | 'port' | 'rpcPort'>,
  accept: (stream: ByteStream) => void,
): Promise<Listener> {
  const first = rpcPort ?? (port === 0 ? 0 : Math.min(port + rpcPortOffset, 65_535 - rpcPortsTried))
  for (let tried = 0; ; tried++) {
    const address = joinAddress(host, first === 0 ? 0 : first + tried)
    try {
      return await network.listen(address, accept)
    } catch (cause) {
      const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
      if (rpcPort !== undefined || !taken || tried === rpcPortsTried)
        throw cannotBind('rpcPort', address, cause)
    }
  }
}

export function cannotBind(option: string, address: Address, cause: unknown): ShoalError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'error'
  const why =
    code === 'EADDRINUSE'
      ? 'is taken; choose another port, or 0 for any free one'
      : `cannot be bound (${code})`
  return new ShoalError('ERR_SHOAL_OPTION', `${option}: ${address} ${why}`, { cause })
}
