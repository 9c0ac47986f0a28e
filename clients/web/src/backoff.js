const FIRST = 250;
const LONGEST = 30_000;

/**
 * How long to wait after so many failures in a row: any time up to a bound that doubles, so that clients that failed
 * together do not come back together.
 *
 * @param {number} failures at least 1
 * @param {number} [first]
 */
export function backoff(failures, first = FIRST) {
  return between(0, Math.min(LONGEST, first * 2 ** Math.min(failures - 1, 20)));
}

/** For those whose server shuts down: they are told so together. */
export function spread() {
  return between(0, 2_000);
}

/** For those who were refused. */
export function slowly() {
  return between(30_000, 60_000);
}

/** For those who were told when to come back: together again. @param {number} wait */
export function notBefore(wait) {
  return between(wait, wait * 1.5);
}

/**
 * @param {number} least
 * @param {number} most
 */
function between(least, most) {
  return Math.round(least + Math.random() * (most - least));
}

/**
 * What `Retry-After` says, in milliseconds; `null` if nothing that can be read (RFC 9110 §10.2.3).
 *
 * @param {Headers} headers
 */
export function retryAfter(headers) {
  const text = headers.get('retry-after');
  if (!text) return null;
  const wait = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), 3_600_000) : null;
}

/** Milliseconds by a clock that nobody sets. */
export function now() {
  return globalThis.performance?.now() ?? Date.now();
}
