// Where an update stands: `epoch-ordinal.place`; up to where everything was told: that, or `epoch-ordinal`, which is all
// of that record. Numbers have up to 64 bits, more than a JavaScript number holds, so they are compared as text.

const FORM = /^(\d+)-(\d+)(?:\.(\d+))?$/;

/**
 * @typedef {{ text: string, epoch: string, ordinal: string, place: string | null }} Cursor
 */

/**
 * @param {unknown} text
 * @returns {Cursor | null} `null` for what is no id
 */
export function parseId(text) {
  const match = typeof text === 'string' ? FORM.exec(text) : null;
  if (!match) return null;
  return { text: match[0], epoch: match[1], ordinal: match[2], place: match[3] ?? null };
}

/**
 * Whether what is at `id` was not told to who was told everything up to `cursor`. Epochs have no order: another one
 * is news.
 *
 * @param {Cursor} id
 * @param {Cursor | null} cursor
 */
export function isAfter(id, cursor) {
  if (!cursor || id.epoch !== cursor.epoch) return true;
  const order = compare(id.ordinal, cursor.ordinal);
  if (order !== 0) return order > 0;
  if (cursor.place === null) return false;
  return id.place === null || compare(id.place, cursor.place) > 0;
}

/**
 * Whether it is after `cursor` in the same epoch.
 *
 * @param {Cursor | null} id
 * @param {Cursor | null} cursor
 */
export function follows(id, cursor) {
  return id !== null && id.epoch === cursor?.epoch && isAfter(id, cursor);
}

/**
 * Without leading zeros the longer number is the larger one.
 *
 * @param {string} a
 * @param {string} b
 */
function compare(a, b) {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : Number(a > b);
}
