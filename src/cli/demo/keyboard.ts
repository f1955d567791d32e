/** Keys of the live demo. Ctrl-C arrives as a key in raw mode, and is handed on as the signal it stands for. */
import { kill, pid } from 'node:process'
import type { Show } from './show.ts'

export interface Keyboard {
  close(): void
}

export function listenKeys(show: Show): Keyboard {
  const { stdin } = process
  if (!stdin.isTTY) return { close() {} }
  const press = (text: string): void => {
    for (const key of text) act(show, key)
  }
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  stdin.on('data', press)
  return {
    close() {
      stdin.off('data', press)
      stdin.setRawMode(false)
      stdin.pause()
    },
  }
}

function act(show: Show, key: string): void {
  switch (key) {
    case 'a':
      show.act('add')
      break
    case 'k':
      show.act('kill')
      break
    case 's':
      show.act('stopOrContinue')
      break
    case 'l':
      show.act('leave')
      break
    case 'q':
    case '\x03':
      kill(pid, 'SIGINT')
      break
    default:
  }
}
