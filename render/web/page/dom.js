// Making elements without HTML text, and keeping lists of them in step with data.

/** @typedef {string | number | boolean | null | undefined | ((event: Event) => void)} Prop */

/**
 * An element with attributes and children. A function is a listener (`click: …`), `text` its text; true is an empty attribute,
 * and false, null and undefined are none.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, Prop>} [props]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (name === 'text') element.textContent = String(value);
    else setAttribute(element, name, value);
  }
  element.append(...children);
  return element;
}

/**
 * Sets what differs.
 * @param {Element} element
 * @param {string} name
 * @param {string | number | boolean | null | undefined} value
 */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else {
    const text = value === true ? '' : String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

/**
 * Sets it when it differs, so that nothing is read out or painted twice.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * The children of `parent`, one for each item, made once and kept by key. Children that stay are not moved, so that focus and
 * selection stay too.
 * @template T
 */
export class KeyedList {
  /** @type {Map<string | number, { node: HTMLElement, update: (item: T) => void }>} */
  #children = new Map();
  #parent;
  #keyOf;
  #create;

  /**
   * @param {HTMLElement} parent
   * @param {(item: T) => string | number} keyOf
   * @param {(item: T) => { node: HTMLElement, update: (item: T) => void }} create
   */
  constructor(parent, keyOf, create) {
    this.#parent = parent;
    this.#keyOf = keyOf;
    this.#create = create;
  }

  /** @param {readonly T[]} items */
  update(items) {
    const keys = new Set(items.map(this.#keyOf));
    for (const [key, { node }] of this.#children) {
      if (keys.has(key)) continue;
      node.remove();
      this.#children.delete(key);
    }
    let place = this.#parent.firstElementChild;
    for (const item of items) {
      const key = this.#keyOf(item);
      const child = this.#children.get(key) ?? this.#create(item);
      this.#children.set(key, child);
      child.update(item);
      if (child.node === place) place = place.nextElementSibling;
      else this.#parent.insertBefore(child.node, place);
    }
  }
}
