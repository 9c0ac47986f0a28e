// Asking for JSON, with a bound on how many ask at once and how long each may take.

import { now, retryAfter } from './backoff.js';
import { messageOf } from './report.js';

/** @typedef {import('./types.js').ResourceError} ResourceError */
/** @typedef {import('./types.js').ResourceResponse} ResourceResponse */

/**
 * @typedef {{
 *   data: any,
 *   error: ResourceError | null,
 *   response: ResourceResponse | null,
 *   again: boolean,
 *   wait: number,
 * }} Answer `again`: asking again may help, after `wait` milliseconds at the earliest
 */

const PATIENCE = 30_000;

/**
 * Never fails: what went wrong is in the answer.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {string} url
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export async function ask(fetch, url, signal) {
  const stop = new AbortController();
  const abort = () => stop.abort();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    stop.abort();
  }, PATIENCE);
  signal.addEventListener('abort', abort);
  // Not every function that fetches heeds a signal, and its place is needed.
  const ended = new Promise((_, reject) => {
    stop.signal.addEventListener('abort', () => reject(new Error('it was ended')));
  });
  ended.catch(() => {});
  const startedAt = Date.now();
  const start = now();
  try {
    const answer = await Promise.race([fetch(url, { headers: { accept: 'application/json' }, signal: stop.signal }), ended]);
    const data = await Promise.race([bodyOf(answer), ended]);
    const { status, headers } = answer;
    const milliseconds = now() - start;
    const cacheStatus = headers.get('cache-status');
    const response = Object.freeze({ status, cacheStatus, headers, startedAt, milliseconds });
    return { ...judge(status, headers, data), response };
  } catch (error) {
    const message = isLate ? `no answer within ${PATIENCE / 1_000} s` : messageOf(error);
    return { data: undefined, error: Object.freeze({ status: null, message }), response: null, again: true, wait: 0 };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/** @param {number} status @param {Headers} headers @param {any} data @returns {Omit<Answer, 'response'>} */
function judge(status, headers, data) {
  if (status >= 200 && status < 300) return { data, error: null, again: false, wait: 0 };
  const detail = typeof data?.detail === 'string' ? data.detail : null;
  const message = detail ?? (status === 404 ? 'there is nothing at this address' : `the server answers ${status}`);
  const error = Object.freeze({ status, message });
  // Other refusals are answers: they stay what they are until something changes.
  const again = status >= 500 || status === 429 || status === 408;
  return { data: undefined, error, again, wait: again ? (retryAfter(headers) ?? 0) : 0 };
}

/** @param {Response} answer */
async function bodyOf(answer) {
  const text = await answer.text();
  const type = answer.headers.get('content-type') ?? '';
  if (!/\bjson\b/.test(type)) return text;
  // A refusal counts, whatever its body is.
  if (!answer.ok) return parsed(text);
  return text === '' ? undefined : JSON.parse(text);
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Lets so many run at once; the others wait in line. */
export class Turns {
  #most;
  #running = 0;
  /** @type {Set<() => void>} */
  #waiting = new Set();

  /** @param {number} most */
  constructor(most) {
    this.#most = Math.max(1, most);
  }

  /**
   * @param {() => Promise<void>} run fails never
   * @returns {() => void} leaves the line; what runs is not touched
   */
  take(run) {
    const begin = () => {
      this.#waiting.delete(begin);
      this.#running += 1;
      void run().finally(() => {
        this.#running -= 1;
        const [next] = this.#waiting;
        next?.();
      });
    };
    if (this.#running < this.#most) begin();
    else this.#waiting.add(begin);
    return () => void this.#waiting.delete(begin);
  }
}
