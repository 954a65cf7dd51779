// Short messages at the edge of the page, read out by screen readers, and questions before what cannot be undone.

import { el } from './dom.js';

const SHOWN_MS = 6000;
const SHOWN_MAX = 4;

/**
 * @param {string} text
 * @param {'good' | 'bad' | 'plain'} [kind]
 */
export function notice(text, kind = 'plain') {
  const place = document.getElementById('notices');
  if (place === null) return;
  const node = el('p', { class: `notice ${kind}`, text });
  place.append(node);
  while (place.childElementCount > SHOWN_MAX) place.firstElementChild?.remove();
  setTimeout(() => node.remove(), SHOWN_MS);
}

/**
 * Asks before something is done.
 * @param {string} question
 * @param {string} consequence
 * @param {string} yes what the button says
 * @returns {Promise<boolean>}
 */
export function confirmed(question, consequence, yes) {
  const title = el('h2', { id: 'question', text: question });
  const no = el('button', { type: 'button', text: 'Keep', click: () => dialog.close('') });
  const dialog = el(
    'dialog',
    { class: 'question', 'aria-labelledby': 'question' },
    title,
    el('p', { text: consequence }),
    el(
      'div',
      { class: 'buttons' },
      no,
      el('button', { type: 'button', class: 'danger', text: yes, click: () => dialog.close('yes') }),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  no.focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
  });
}
