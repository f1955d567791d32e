/**
 * `node dist/test/soak/garbage.js [SECONDS 60]`, opt-in: garbage at every port of three real processes under load.
 * Prints what it cost as JSON and fails if the cluster noticed.
 */
import { soak } from '../support/soak.ts'

const seconds = Number(process.argv[2] ?? 60)
const result = await soak(seconds, { packetsPerSecond: 300, connectionsPerSecond: 50, openMax: 200 })
console.log(JSON.stringify(result, undefined, 2))
if (result.noticed.length > 0 || result.failures.length > 0) process.exitCode = 1
