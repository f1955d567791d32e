/** The plot: calls per second by side, small bodies, as bars on a logarithmic scale. An SVG, drawn by hand. */
import type { Cell, Report } from './report.ts'

const width = 860
const rowHeight = 44
const barHeight = 15
const labelWidth = 130
const top = 64
const plotWidth = width - labelWidth - 120
const depths = [64, 256]
/** Ours, others: a light and a dark one for the two depths; legible on white and on black. */
const colours: Readonly<Record<string, readonly [string, string]>> = {
  ours: ['#2a9d8f', '#1f756b'],
  bare: ['#8d99ae', '#6c7689'],
  others: ['#e9a23b', '#bf7d1f'],
}

export function plot(report: Report): string {
  const cells = report.cells.filter(({ body, depth }) => body === 'small' && depths.includes(depth))
  const rates = cells.map(({ perSecond }) => perSecond.most)
  const least = 10 ** Math.floor(Math.log10(Math.min(...cells.map(({ perSecond }) => perSecond.least))))
  const most = 10 ** Math.ceil(Math.log10(Math.max(...rates)))
  const x = (rate: number): number =>
    labelWidth + (plotWidth * Math.log10(rate / least)) / Math.log10(most / least)
  const names = [...new Set(cells.map(({ side }) => side))]
  const rateOf = (name: string): number =>
    cells.find(({ side, depth }) => side === name && depth === depths[0])?.perSecond.median ?? 0
  names.sort((a, b) => rateOf(b) - rateOf(a))
  const height = top + names.length * rowHeight + 40
  const bars = names.flatMap((name, row) =>
    depths.map((depth, i) => {
      const cell = cells.find((one) => one.side === name && one.depth === depth)
      return cell === undefined ? '' : bar(cell, top + row * rowHeight + i * (barHeight + 2), i, x)
    }),
  )
  const labels = names.map(
    (name, row) =>
      `<text x="${labelWidth - 8}" y="${top + row * rowHeight + 20}" text-anchor="end">${name}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13" role="img" aria-label="Echo calls per second by library">
<title>Echo calls per second by library</title>
<rect width="${width}" height="${height}" fill="#ffffff"/>
<text x="10" y="24" font-size="16">Echo calls per second over loopback, 100-byte object, by library</text>
<text x="10" y="44" fill="#555555">Upper bar: 64 calls under way, lower bar: 256. Median, whisker: least to most of ${report.rounds} rounds. Logarithmic.</text>
${axis(least, most, height, x)}
${[...labels, ...bars].join('\n')}
</svg>
`
}

function bar({ side, perSecond }: Cell, y: number, shade: number, x: (rate: number) => number): string {
  const kind = side.startsWith('shoal') ? 'ours' : side === 'bare' || side === 'raw-bytes' ? 'bare' : 'others'
  const colour = colours[kind]?.[shade] ?? ''
  const at = (rate: number): string => x(rate).toFixed(1)
  const middle = y + barHeight / 2
  const length = (x(perSecond.median) - labelWidth).toFixed(1)
  return [
    `<rect x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}" fill="${colour}"/>`,
    `<path d="M${at(perSecond.least)} ${middle}H${at(perSecond.most)}" stroke="#222222"/>`,
    `<text x="${(x(perSecond.most) + 6).toFixed(1)}" y="${y + 12}" font-size="11">${Math.round(perSecond.median).toLocaleString('en')}</text>`,
  ].join('')
}

function axis(least: number, most: number, height: number, x: (rate: number) => number): string {
  const lines: string[] = []
  for (let rate = least; rate <= most; rate *= 10) {
    const at = x(rate).toFixed(1)
    const label = rate >= 1e6 ? `${rate / 1e6} M` : rate >= 1_000 ? `${rate / 1_000} k` : `${rate}`
    lines.push(`<path d="M${at} ${top - 6}V${height - 30}" stroke="#dddddd"/>`)
    lines.push(`<text x="${at}" y="${height - 12}" text-anchor="middle" fill="#555555">${label}</text>`)
  }
  return lines.join('\n')
}
