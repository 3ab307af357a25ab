// SPDX-License-Identifier: MIT
/*
 * composer.js - where one writes. Nothing but the writer and a successful send ever empties it.
 */
import { TEXT_MAX } from './message.js';

const WARN_AT = TEXT_MAX - 400;

export class Composer {
  #form;
  #field;
  #hint;
  #onSend;

  // onSend(text) says what stands in the way, or '' when the message has been taken.
  constructor({ form, field, button, hint, onSend }) {
    this.#form = form;
    this.#field = field;
    this.#hint = hint;
    this.#onSend = onSend;
    field.addEventListener('keydown', (event) => this.#press(event));
    field.addEventListener('input', () => this.#fit());
    form.addEventListener('submit', (event) => this.#submit(event));
    button.addEventListener('pointerdown', (event) => event.preventDefault()); // keeps the focus, so the phone its keyboard
    window.addEventListener('pageshow', () => this.#fit()); // by then the browser has restored a draft
  }

  focus() {
    this.#field.focus();
  }

  // Puts texts that were not sent before what is being written.
  restore(texts) {
    if (texts.length === 0)
      return;
    this.#field.value = [...texts, this.#field.value].filter((text) => text !== '').join('\n');
    this.#fit();
  }

  // Enter that ends an IME's composition belongs to the IME; Safari marks it by key code 229 only.
  #press(event) {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229)
      return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  #submit(event) {
    event.preventDefault();
    const text = this.#field.value.trim();
    if (text === '' || text.length > TEXT_MAX)
      return;
    const obstacle = this.#onSend(text);
    if (obstacle === '')
      this.#field.value = '';
    this.#fit();
    if (obstacle !== '')
      this.#say(obstacle);
  }

  #fit() {
    const left = TEXT_MAX - this.#field.value.trim().length;
    this.#field.style.height = 'auto';
    this.#field.style.height = `${this.#field.scrollHeight}px`;
    this.#form.classList.toggle('too-long', left < 0);
    if (left < 0)
      this.#say(`${-left} characters too many`);
    else
      this.#say(left < TEXT_MAX - WARN_AT ? `${left} characters left` : '');
  }

  #say(text) {
    if (this.#hint.textContent !== text)
      this.#hint.textContent = text;
  }
}
