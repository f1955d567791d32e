/** The public list of `shoal/otel`: what is not here is not API. */
export { type InstrumentOptions, instrument } from './instrument.ts'
