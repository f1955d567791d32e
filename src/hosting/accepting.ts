/** Hands records that replication has brought together to the holdings that are to make live states of them. */
import { joined } from '../state/bytes.ts'
import { RecordLog } from '../state/record-log.ts'
import type { Holdings } from '../state/store.ts'

/** Records that live states are made of at once, in bytes. */
const acceptBytes = 256 * 1024

/** Removed ones are left out. `done` or `failed` is told once, at once if that can be: then nothing came between. */
export function acceptAll(
  live: Holdings,
  partition: number,
  entries: Iterable<{ readonly record: Uint8Array | undefined }>,
  done: () => void,
  failed: (error: unknown) => void,
): void {
  const waits: Promise<void>[] = []
  let records: Uint8Array[] = []
  let bytes = 0
  const accept = (): void => {
    const wait = live.accept(partition, joined(records))
    if (wait !== undefined) waits.push(wait)
    records = []
    bytes = 0
  }
  try {
    for (const { record } of entries) {
      if (record === undefined) continue
      records.push(record)
      bytes += record.length
      if (bytes >= acceptBytes) accept()
    }
    if (records.length > 0) accept()
  } catch (error) {
    // One failure is enough.
    void Promise.allSettled(waits)
    failed(error)
    return
  }
  if (waits.length === 0) done()
  else Promise.all(waits).then(done, failed)
}

/** The same records in two logs; none of a single one. */
export function halved(log: RecordLog): RecordLog[] {
  if (log.count < 2) return []
  const halves = [new RecordLog(), new RecordLog()]
  let at = 0
  for (const { key, record, version } of log.entries())
    halves[at++ < log.count / 2 ? 0 : 1]?.put(key, record, version, 0)
  return halves
}
