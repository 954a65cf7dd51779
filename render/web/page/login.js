// Asks for a token. The main node keeps it in a cookie that no script can read, this one neither.

import { api } from './api.js';
import { messageOf } from './actions.js';
import { el } from './dom.js';

export class Login {
  title = 'Log in';
  #input;
  #error = el('p', { class: 'error', role: 'alert' });
  node;

  /** @param {() => void} onDone */
  constructor(onDone) {
    this.#input = el('input', {
      type: 'password',
      id: 'token',
      name: 'token',
      autocomplete: 'current-password',
      required: true,
    });
    const button = el('button', { type: 'submit', class: 'primary', text: 'Log in' });
    const submit = async () => {
      button.disabled = true;
      this.#error.textContent = '';
      try {
        await api.logIn(this.#input.value);
        onDone();
      } catch (error) {
        this.#error.textContent = messageOf(error);
        this.#input.select();
      } finally {
        button.disabled = false;
      }
    };
    this.node = el(
      'section',
      { class: 'card login', 'aria-labelledby': 'login' },
      el('h1', { id: 'login', text: 'Log in' }),
      el('p', {
        class: 'muted',
        text: 'This farm asks for a token: a line of the file that the main node was started with.',
      }),
      el(
        'form',
        {
          submit: (event) => {
            event.preventDefault();
            void submit();
          },
        },
        el('label', { for: 'token', text: 'Token' }),
        this.#input,
        this.#error,
        button,
      ),
    );
  }

  focus() {
    this.#input.focus();
  }

  update() {}

  close() {}
}
