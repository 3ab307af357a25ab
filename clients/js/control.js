// SPDX-License-Identifier: MIT
/*
 * control.js - lets others steer a page, through a broker: requests on browser.*, each only if the page allows it.
 *
 *   browser.navigate    {url}                 {success, message}
 *   browser.alert       {message}             {success}
 *   browser.info        {}                    {userAgent, url, title, viewport: {width, height}}
 *   browser.fillForm    {fields: {id: value}} {success, filled: [ids]}
 *   browser.submitForm  {selector}            {success, data: {name: value}}, without passwords and files
 *   browser.clearForm   {selector}            {success}
 *   browser.screenshot  {}                    {success, dataUrl}
 *   browser.scroll      {x, y}                {success, scrollX, scrollY}
 *   browser.click       {selector}            {success, element}
 *   browser.exec        {code}                {success, result}: whatever the page may do
 *
 * What fails is answered with {success: false, error}. `selector` of a form is 'form' if it is missing: the first one.
 * Who may ask is for the server to say; doc/browser-control.md says what each of these gives away.
 */

const SETTLE_MS = 100;        // an answer leaves before the page does
const PICTURE_MAX = 900000;   // characters: a message of a mebibyte, with room around
const PICTURES = [[1, 'image/png'], [1, 'image/jpeg', 0.8], [0.5, 'image/jpeg', 0.7], [0.25, 'image/jpeg', 0.6]];

const later = (run) => setTimeout(run, SETTLE_MS);

function find(selector) {
  const element = document.querySelector(selector);
  if (element === null)
    throw new Error(`Element not found: ${selector}`);
  return element;
}

function findForm(selector = 'form') {
  const form = find(selector);
  if (!(form instanceof HTMLFormElement))
    throw new Error(`Not a form: ${selector}`);
  return form;
}

/* ---- the page ---- */

// Other schemes than these would run code, or read files.
function navigate({ url }) {
  const address = new URL(url, location.href);
  if (!/^https?:$/.test(address.protocol))
    throw new Error(`Not an address to go to: ${url}`);
  later(() => location.assign(address));
  return { success: true, message: `Navigating to ${address}` };
}

function alert({ message }) {
  later(() => window.alert(String(message ?? '')));
  return { success: true };
}

function info() {
  return { userAgent: navigator.userAgent, url: location.href, title: document.title,
    viewport: { width: window.innerWidth, height: window.innerHeight } };
}

function scroll({ x = 0, y = 0 }) {
  window.scrollTo({ left: Number(x), top: Number(y), behavior: 'instant' });
  return { success: true, scrollX: window.scrollX, scrollY: window.scrollY };
}

function click({ selector }) {
  const element = find(selector);
  element.click();
  return { success: true, element: element.localName + (element.id && `#${element.id}`) };
}

async function exec({ code }) {
  const value = await (0, eval)(String(code)); // not in the scope of this module
  return { success: true, result: typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value) };
}

/* ---- forms ---- */

const isFillable = (element) => element !== null && element.matches('input:not([type=file]), textarea, select');

function fill(element, value) {
  if (element.type === 'checkbox' || element.type === 'radio')
    element.checked = value === true || value === 'true' || value === 'on';
  else
    element.value = value;
  element.dispatchEvent(new Event('input', { bubbles: true }));
  element.dispatchEvent(new Event('change', { bubbles: true }));
}

function fillForm({ fields }) {
  const filled = Object.keys(fields ?? {}).filter((id) => isFillable(document.getElementById(id)));
  filled.forEach((id) => fill(document.getElementById(id), fields[id]));
  return { success: true, filled };
}

function submitForm({ selector }) {
  const form = findForm(selector);
  const secret = new Set(Array.from(form.querySelectorAll('[type=password]'), ({ name }) => name));
  const data = [...new FormData(form)].filter(([name, value]) => typeof value === 'string' && !secret.has(name));
  if (!form.checkValidity())
    throw new Error('The form is not filled in as it wants to be');
  later(() => form.requestSubmit());
  return { success: true, data: Object.fromEntries(data) };
}

function clearForm({ selector }) {
  findForm(selector).reset();
  return { success: true };
}

/* ---- a picture: the document drawn into itself, as an image of SVG ---- */

function rulesOf(sheet) {
  try {
    return Array.from(sheet.cssRules, ({ cssText }) => cssText).join('\n');
  } catch { // of another origin
    return '';
  }
}

function pixels(drawable) {
  const canvas = document.createElement('canvas');
  try {
    canvas.width = drawable.naturalWidth ?? drawable.width;
    canvas.height = drawable.naturalHeight ?? drawable.height;
    canvas.getContext('2d').drawImage(drawable, 0, 0);
    return canvas.toDataURL();
  } catch { // of another origin, or not there yet
    return '';
  }
}

// A copy shows what its markup says: what was typed, drawn and chosen is put there.
function settle(original, copy) {
  if (original.localName === 'textarea')
    copy.textContent = original.value;
  else if (original.localName === 'option')
    copy.toggleAttribute('selected', original.selected);
  else if (original.localName === 'img')
    copy.setAttribute('src', pixels(original));
  else if (original.localName === 'input') {
    copy.setAttribute('value', original.type === 'password' ? '' : original.value);
    copy.toggleAttribute('checked', original.checked);
  } else {
    const image = document.createElement('img');
    image.src = pixels(original);
    copy.replaceWith(image);
  }
}

function copyOf(root) {
  const copy = root.cloneNode(true);
  const style = document.createElement('style');
  const selector = 'input, textarea, option, img, canvas';
  const copies = [...copy.querySelectorAll(selector)];
  root.querySelectorAll(selector).forEach((original, i) => settle(original, copies[i]));
  copy.querySelectorAll('script, noscript, link, style, iframe, object, template').forEach((element) => element.remove());
  style.textContent = [...document.styleSheets].map(rulesOf).join('\n');
  copy.append(style);
  copy.style.transform = `translate(${-window.scrollX}px, ${-window.scrollY}px)`;
  return copy;
}

async function draw({ width, height }) {
  const image = new Image();
  const text = new XMLSerializer().serializeToString(copyOf(document.documentElement));
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" `
    + `width="${width}" height="${height}"><foreignObject width="100%" height="100%">${text}</foreignObject></svg>`)}`;
  await image.decode();
  return image;
}

async function screenshot() {
  const size = { width: window.innerWidth, height: window.innerHeight };
  const image = await draw(size);
  for (const [scale, ...format] of PICTURES) {
    const canvas = document.createElement('canvas');
    canvas.width = size.width * scale;
    canvas.height = size.height * scale;
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
    const dataUrl = canvas.toDataURL(...format);
    if (dataUrl.length <= PICTURE_MAX)
      return { success: true, dataUrl };
  }
  throw new Error('The picture is too large');
}

/* ---- what is allowed ---- */

const GENTLE = { navigate, alert, info, fillForm, submitForm, clearForm, screenshot, scroll, click };
const ALL = { ...GENTLE, exec };

/** All but exec. */
export const Controls = Object.freeze(Object.keys(GENTLE));

/**
 * Lets others ask `client`, a BrokerClient, for what `names` has of Controls, or for 'exec', and for nothing else.
 * @returns a function that ends it.
 */
export function control(client, names) {
  const unknown = names.filter((name) => !Object.hasOwn(ALL, name));
  if (unknown.length > 0)
    throw new TypeError(`no such control: ${unknown.join(', ')}`);
  const ends = names.map((name) => client.handle(`browser.${name}`, async (payload) => {
    try {
      return await ALL[name](payload ?? {});
    } catch (error) {
      return { success: false, error: String(error?.message ?? error) };
    }
  }));
  return () => ends.forEach((end) => end());
}
