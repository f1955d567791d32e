/** The plot: keys that the fourth member has, and the longest call of each tenth of a second, over time. */
import { moveOf, type Report } from './report.ts'

const width = 860
const height = 420
const left = 80
const right = 70
const top = 70
const bottom = 50
const colours = { keys: '#2a9d8f', call: '#e9a23b', grid: '#dddddd', text: '#555555' }

export function plot(report: Report): string {
  const move = moveOf(report)
  const from = Math.max(0, move.fromMs - 1_000)
  const to = move.toMs + 1_000
  const x = (ms: number): number => left + ((ms - from) / (to - from)) * (width - left - right)
  const y = (part: number): number => height - bottom - part * (height - top - bottom)
  const slices = report.slices.filter(({ atMs }) => atMs >= from && atMs <= to)
  const most = 10 ** Math.ceil(Math.log10(Math.max(10, ...slices.map(({ maxMs }) => maxMs))))
  const call = (ms: number): number => y(Math.max(0, Math.log10(ms / 0.1) / Math.log10(most / 0.1)))
  const keys = report.received.filter(({ atMs }) => atMs >= from && atMs <= to)
  const line = keys.map(
    (one) => `${x(one.atMs).toFixed(1)},${y(one.keys / Math.max(1, move.keys)).toFixed(1)}`,
  )
  const dots = slices.map(
    ({ atMs, maxMs }) =>
      `<circle cx="${x(atMs).toFixed(1)}" cy="${call(maxMs).toFixed(1)}" r="2.5" fill="${colours.call}"/>`,
  )
  const grid: string[] = []
  for (let ms = 0.1; ms <= most * 1.01; ms *= 10) {
    const at = call(ms).toFixed(1)
    grid.push(`<path d="M${left} ${at}H${width - right}" stroke="${colours.grid}"/>`)
    grid.push(
      `<text x="${width - right + 8}" y="${Number(at) + 4}" fill="${colours.text}">${Number(ms.toPrecision(1))} ms</text>`,
    )
  }
  const stepMs = to - from > 20_000 ? 5_000 : to - from > 6_000 ? 1_000 : 500
  for (let ms = 0; from + ms <= to; ms += stepMs) {
    grid.push(
      `<text x="${x(from + ms).toFixed(1)}" y="${height - 22}" text-anchor="middle" fill="${colours.text}">${ms / 1000} s</text>`,
    )
  }
  for (const part of [0, 0.5, 1]) {
    const label = Math.round(part * move.keys).toLocaleString('en')
    grid.push(
      `<text x="${left - 8}" y="${y(part) + 4}" text-anchor="end" fill="${colours.text}">${label}</text>`,
    )
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" role="img" aria-label="Keys received and longest calls while a fourth member joins">
<title>Keys received and longest calls while a fourth member joins</title>
<rect width="${width}" height="${height}" fill="#ffffff"/>
<text x="10" y="24" font-size="16">A fourth member joins three that hold ${report.keys.toLocaleString('en')} keys</text>
<text x="10" y="46" fill="${colours.keys}">Line: keys the fourth has (left).</text>
<text x="230" y="46" fill="${colours.call}">Dots: longest call of each 100 ms, keys at random (right, logarithmic).</text>
${grid.join('\n')}
<polyline points="${line.join(' ')}" fill="none" stroke="${colours.keys}" stroke-width="2"/>
${dots.join('\n')}
</svg>
`
}
