// What the views need of the document: nothing is written that is there already, so that nothing moves without a reason.

export const byId = (id) => document.getElementById(id);

/** An element with attributes, a class and children. Text is always text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'class') made.className = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** An element of SVG. */
export function shape(name, attributes, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function show(target, visible) {
  if (target.hidden === visible) target.hidden = !visible;
}

export function mark(target, name, value) {
  if (target.dataset[name] !== value) target.dataset[name] = value;
}

/**
 * Makes the children of `parent` those of `items`, in their order. Those that were there before stay, by their key.
 * `make()` returns an element with a property `parts`; `update(parts, item, element)` writes into them.
 */
export function list(parent, items, key, make, update) {
  const before = parent.keyed ?? new Map();
  const after = new Map();
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const child = before.get(name) ?? make(item);
    after.set(name, child);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child.parts, item, child);
  }
  for (const [name, child] of before) if (!after.has(name)) child.remove();
  parent.keyed = after;
}
