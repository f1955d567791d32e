/**
 * Local health (Lifeguard section 2.1; memberlist awareness.go): a saturating counter that stretches our own
 * probing when our probes fail, our helpers' nacks stay out or we have to refute, for then the sick one is
 * probably us.
 */
export class Awareness {
  readonly #max: number
  #score = 0

  /** `multiplierMax`: the score stays in [0, multiplierMax - 1]. */
  constructor(multiplierMax: number) {
    this.#max = Math.max(0, multiplierMax - 1)
  }

  /** 0 is healthy. */
  get score(): number {
    return this.#score
  }

  add(delta: number): void {
    this.#score = Math.min(this.#max, Math.max(0, this.#score + delta))
  }

  /** A time of our own probing, stretched by how unwell we are. */
  scale(ms: number): number {
    return ms * (this.#score + 1)
  }
}
