/**
 * Web sessions without a session store: they live in the servers themselves, in two of them each.
 *
 *     npm run build && node dist/examples/sessions/main.js
 *     curl -c jar 'http://127.0.0.1:8080/login?user=ann' && curl -b jar http://127.0.0.1:8081/
 *
 * With `--once` it logs some users in on free ports, kills one server, restarts another, and looks who is still logged in.
 * At the end a server that forgets sessions after half a second shows what idle ones come to.
 */
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Servers } from '../servers.ts'

const runOnce = process.argv.includes('--once')
const file = resolve(import.meta.dirname, 'server.js')
const users = Array.from({ length: 30 }, (_, index) => `user-${index + 1}`)

/** Logs all users in, at one server after the other; their cookies. */
function login({ urls }: Servers): Promise<string[]> {
  return Promise.all(
    users.map(async (user, index) => {
      const response = await fetch(`${urls[index % urls.length]}/login?user=${user}`)
      return response.headers.get('set-cookie')?.split(';')[0] ?? ''
    }),
  )
}

/** Visits with each cookie, at another server than before; how many are still logged in. */
async function visit({ urls }: Servers, cookies: readonly string[]): Promise<number> {
  const known = cookies.map(async (cookie, index) => {
    const response = await fetch(urls[(index + 1) % urls.length] as string, { headers: { cookie } })
    const text = await response.text()
    return response.status === 200 && JSON.parse(text).user === users[index]
  })
  return (await Promise.all(known)).filter(Boolean).length
}

const servers = new Servers(file, runOnce ? [0, 0, 0] : [8080, 8081, 8082])
await servers.start()
if (runOnce) {
  try {
    const cookies = await login(servers)
    console.log(`${await visit(servers, cookies)} of ${users.length} users are logged in`)
    await servers.restart(0, 'SIGKILL')
    console.log(`${await visit(servers, cookies)} after a server was killed`)
    await servers.restart(1)
    console.log(`${await visit(servers, cookies)} after another was restarted`)
  } finally {
    servers.end()
  }
  process.env['IDLE_MS'] = '500'
  const forgetful = new Servers(file, [0])
  await forgetful.start()
  try {
    const cookies = await login(forgetful)
    let known = users.length
    // A busy machine is late with what is idle; each visit begins the time anew.
    for (let ms = 1_000; known > 0 && ms < 20_000; ms *= 2) {
      await setTimeout(ms)
      known = await visit(forgetful, cookies)
    }
    console.log(`${known} where nobody came for too long`)
  } finally {
    forgetful.end()
  }
}
