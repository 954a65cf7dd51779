// A command to type where there is nothing yet, with a button that copies it.

import { el, setText } from './dom.js';
import { notice } from './notices.js';

export function commandLine() {
  const code = el('code', { tabindex: '0' });
  const copy = el('button', {
    type: 'button',
    class: 'small',
    text: 'Copy',
    click: () => {
      navigator.clipboard.writeText(code.textContent ?? '').then(
        () => notice('Copied', 'good'),
        () => notice('The browser does not allow copying here', 'bad'),
      );
    },
  });
  return {
    node: el('div', { class: 'command' }, code, ...(isSecureContext ? [copy] : [])),
    /** @param {string} command */
    update: (command) => setText(code, command),
  };
}
