import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressOf, Lone } from './lone.ts'

/** What is held of a member at incarnation 5, what is said of it, and what is held then. */
const overrides = `
  alive    alive 4    alive 5        suspect  alive 4    suspect 5
  alive    alive 5    alive 5        suspect  alive 5    suspect 5
  alive    alive 6    alive 6        suspect  alive 6    alive 6
  alive    suspect 4  alive 5        suspect  suspect 4  suspect 5
  alive    suspect 5  suspect 5      suspect  suspect 5  suspect 5
  alive    suspect 6  suspect 6      suspect  suspect 6  suspect 6
  alive    dead 4     alive 5        suspect  dead 4     suspect 5
  alive    dead 5     dead 5         suspect  dead 5     dead 5
  alive    dead 6     dead 6         suspect  dead 6     dead 6
  alive    left 4     alive 5        suspect  left 4     suspect 5
  alive    left 5     left 5         suspect  left 5     left 5

  dead     alive 4    dead 5         left     alive 4    left 5
  dead     alive 5    dead 5         left     alive 5    left 5
  dead     alive 6    alive 6        left     alive 6    alive 6
  dead     suspect 4  dead 5         left     suspect 4  left 5
  dead     suspect 6  dead 6         left     suspect 6  left 6
  dead     dead 4     dead 5         left     dead 4     left 5
  dead     dead 6     dead 6         left     dead 6     left 6
  dead     left 5     dead 5         left     dead 5     left 5
`

function say(lone: Lone, what: string, incarnation: number): void {
  if (what === 'alive') lone.alive('x', 1, incarnation)
  else if (what === 'suspect') lone.suspect('x', incarnation, 'y')
  else lone.dead('x', incarnation, what === 'left' ? 'x' : 'y')
}

test('which fact overrides which, by state and incarnation', () => {
  const rows = overrides.match(/\w+ +\w+ \d +\w+ \d/g) ?? []
  assert.equal(rows.length, 38)
  for (const row of rows) {
    const [held = '', said = '', incarnation, ...then] = row.split(/ +/)
    const lone = new Lone()
    lone.alive('x', 1, 5)
    if (held !== 'alive') say(lone, held, 5)
    assert.equal(lone.holds('x'), `${held} 5`)
    say(lone, said, Number(incarnation))
    assert.equal(lone.holds('x'), then.join(' '), row)
  }
})

test('a refutation is one above the accusation, however far that is ahead, costs health and goes straight back', () => {
  for (const accuse of ['suspect', 'dead'] as const) {
    const lone = new Lone()
    const accused = lone.incarnation + 10
    lone.forget()
    lone[accuse]('me', accused, 'y', addressOf(7))
    assert.equal(lone.holds('me'), `alive ${accused + 1}`)
    assert.equal(lone.node.swim.health, 1)
    const [answer] = lone.sentTo(addressOf(7))
    assert.ok(answer?.type === 'alive' && answer.incarnation === accused + 1)
  }
})

test('who accuses us of what we have refuted is told our present incarnation', () => {
  for (const accuse of ['suspect', 'dead'] as const) {
    const lone = new Lone()
    const { incarnation } = lone
    lone.forget()
    lone[accuse]('me', incarnation - 1, 'y', addressOf(7))
    assert.equal(lone.incarnation, incarnation)
    const [answer] = lone.sentTo(addressOf(7))
    assert.ok(answer?.type === 'alive' && answer.incarnation === incarnation)
  }
})

test('a stale alive about a member that is not alive here is answered at its address with what is held against it', () => {
  for (const held of ['suspect', 'dead'] as const) {
    const lone = new Lone()
    lone.alive('x', 1, 5)
    say(lone, held, 5)
    lone.forget()
    lone.alive('x', 1, 5)
    const [charge] = lone.sentTo(addressOf(1))
    assert.ok(charge?.type === held && charge.node === 'x' && charge.incarnation === 5)
  }
})

test('a member that we hold suspect or dead hears so when it pings us', () => {
  for (const held of ['suspect', 'dead'] as const) {
    const lone = new Lone()
    lone.alive('x', 1, 5)
    say(lone, held, 5)
    lone.forget()
    lone.ping('me', 'x', 1)
    const [ack, charge] = lone.sentTo(addressOf(1))
    assert.equal(ack?.type, 'ack')
    assert.ok(charge?.type === held && charge.incarnation === 5)
  }
})

test('a ping by the name of another is not answered', () => {
  const lone = new Lone()
  lone.forget()
  lone.ping('somebody', 'x', 1)
  assert.deepEqual(lone.sentTo(addressOf(1)), [])
  lone.ping('me', 'x', 1)
  assert.equal(lone.sentTo(addressOf(1))[0]?.type, 'ack')
})

test('a forgotten member comes back by a higher incarnation alone', () => {
  const lone = new Lone()
  lone.alive('x', 1, 5)
  lone.dead('x', 5, 'y')
  assert.notEqual(
    lone.world.runUntil(() => lone.holds('x') === 'unknown', 60_000),
    -1,
  )
  lone.forget()
  lone.alive('x', 1, 5)
  assert.equal(lone.holds('x'), 'unknown')
  assert.equal(lone.sentTo(addressOf(1))[0]?.type, 'dead')
  lone.alive('x', 1, 6)
  assert.equal(lone.holds('x'), 'alive 6')
})

test('an accusation by somebody else is passed on, the same one again is not', () => {
  const lone = new Lone()
  for (let place = 1; place <= 20; place += 1) lone.alive(`m${place}`, place, 5)
  const passedOn = (accuser: string): boolean => {
    lone.forget()
    lone.suspect('m1', 5, accuser)
    lone.world.run(700)
    return lone.outputs.some(
      (output) =>
        output.type === 'packet' &&
        lone.sentTo(output.to).some((message) => message.type === 'suspect' && message.from === accuser),
    )
  }
  assert.equal(passedOn('m2'), true)
  assert.equal(passedOn('m3'), true)
  lone.world.run(5_000)
  assert.equal(passedOn('m3'), false)
})

test('a live name stays with its address, a dead one moves', () => {
  const lone = new Lone()
  lone.alive('x', 1, 5)
  lone.alive('x', 2, 6)
  assert.equal(lone.node.swim.member('x')?.address, addressOf(1))
  assert.ok(lone.node.notices.includes('nameConflict'))
  lone.dead('x', 6, 'y')
  lone.alive('x', 2, 7)
  assert.equal(lone.node.swim.member('x')?.address, addressOf(2))
})

test('who was declared dead hears so by gossip, until it is old news', () => {
  const lone = new Lone()
  for (const place of [1, 2, 3]) lone.alive(`m${place}`, place, 5)
  lone.dead('m1', 5, 'm2')
  lone.world.run(3_000)
  assert.ok(lone.sentTo(addressOf(1)).some((message) => message.type === 'dead' && message.node === 'm1'))
})

test('a suspicion of a newer incarnation begins anew', () => {
  const lone = new Lone({ timing: { tcpPings: false } })
  lone.alive('x', 1, 5)
  lone.suspect('x', 5, 'y')
  lone.world.run(3_000)
  lone.suspect('x', 6, 'y')
  lone.world.run(3_999)
  assert.equal(lone.holds('x'), 'suspect 6')
  lone.world.run(1)
  assert.equal(lone.holds('x'), 'dead 6')
})

test('a fact goes out on beat after beat as often as the number of members asks for, and then no more', () => {
  const lone = new Lone()
  for (const place of [1, 2, 3, 4]) lone.alive(`m${place}`, place, 5)
  lone.dead('m1', 5, 'm2')
  const sent = (): number =>
    [1, 2, 3, 4]
      .flatMap((place) => lone.sentTo(addressOf(place)))
      .filter((message) => message.type === 'dead' && message.node === 'm1').length
  const { gossipIntervalMs, retransmitMin } = lone.node.config.timing
  lone.world.run(3 * gossipIntervalMs)
  assert.equal(sent(), retransmitMin)
  lone.world.run(20_000)
  assert.equal(sent(), retransmitMin)
})
