/** What the benchmark keeps: a key with a text of 100 characters. */
import { type Entity, type EntityReferences, entity } from '../../src/index.ts'

export interface ItemState {
  text: string
}

export interface ItemCalls {
  put(state: ItemState, text: string): void
  get(state: ItemState): string
}

export type Items = EntityReferences<ItemCalls>

export const Item: Entity<ItemState, ItemCalls> = entity('item', {
  open: (): ItemState => ({ text: '' }),
  calls: {
    put(state: ItemState, text: string): void {
      state.text = text
    },
    get: (state: ItemState): string => state.text,
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
