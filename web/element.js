// SPDX-License-Identifier: MIT
/*
 * element.js - pieces of the page. Foreign strings become text nodes here and nowhere anything else.
 */
import { hue, initials } from './nick.js';

const SVG = 'http://www.w3.org/2000/svg';

// A new element of a class, with text or with children.
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

// One of the symbols in index.html.
export function icon(symbol) {
  const svg = document.createElementNS(SVG, 'svg');
  const use = document.createElementNS(SVG, 'use');
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `#${symbol}`);
  svg.append(use);
  return svg;
}

// The colour of a name is a custom property; style.css makes light and dark of it.
export function tint(element, name) {
  element.style.setProperty('--hue', hue(name));
  return element;
}

// Nobody's is grey.
export function egg(name) {
  const shell = make('span', name === '' ? 'egg plain-egg' : 'egg', name === '' ? '–' : initials(name));
  shell.setAttribute('aria-hidden', 'true');
  return tint(shell, name);
}

export function named(name, className) {
  return tint(make('bdi', name === '' ? `${className} nobody` : className, name || 'someone'), name);
}
