/** What the benchmark keeps: a key with a text of 100 characters, and what its processes say to each other. */
import { type EntityType, entity } from '../../src/index.ts'

export interface ItemState {
  text: string
}

export const Item: EntityType<ItemState, { put(state: ItemState, text: string): void; get(state: ItemState): string }> =
  entity('item', {
    open: (): ItemState => ({ text: '' }),
    calls: {
      put(state: ItemState, text: string) {
        state.text = text
      },
      get: (state: ItemState) => state.text,
    },
    readonly: ['get'],
  })

export const textBytes = 100

export function keyOf(index: number): string {
  return `item-${index.toString().padStart(8, '0')}`
}

export function textOf(index: number): string {
  return `${keyOf(index)}:`.padEnd(textBytes, 'state that follows its key ')
}
