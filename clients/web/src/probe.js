import { retryAfter } from './backoff.js';

const PATIENCE = 10_000;

/**
 * @typedef {{
 *   kind: 'again' | 'unauthorized' | 'refused' | 'busy',
 *   reason: string,
 *   wait?: number | null,
 * }} Finding
 */

/**
 * Asks what neither an `EventSource` nor a `WebSocket` tells: why it got no connection. By `GET`, since what the server
 * answers to `HEAD` has no words; an answer that is a stream is dropped at its head.
 *
 * @param {string} url
 * @param {typeof globalThis.fetch | undefined} fetch
 * @param {AbortSignal} signal aborted when nobody wants to know any more
 * @returns {Promise<Finding>}
 */
export async function probe(url, fetch, signal) {
  if (!fetch) return { kind: 'again', reason: 'the connection failed' };
  const stop = new AbortController();
  const abort = () => stop.abort();
  const timer = setTimeout(abort, PATIENCE);
  signal.addEventListener('abort', abort);
  try {
    const headers = { accept: 'text/event-stream' };
    const response = await fetch(url, { headers, cache: 'no-store', signal: stop.signal });
    return await judge(response);
  } catch {
    return { kind: 'again', reason: 'the server cannot be reached, or does not let this page in' };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    abort();
  }
}

/** @param {Response} response @returns {Promise<Finding>} */
async function judge(response) {
  const { status, headers } = response;
  if (response.ok) {
    const type = headers.get('content-type') ?? 'nothing';
    if (type.startsWith('text/event-stream')) return { kind: 'again', reason: 'the connection failed' };
    return { kind: 'refused', reason: `there are no live updates at this URL: it answers with ${type}` };
  }
  const reason = await detailOf(response);
  if (status === 401) return { kind: 'unauthorized', reason };
  if (status === 429 || status === 503) return { kind: 'busy', reason, wait: retryAfter(headers) };
  return { kind: status >= 400 && status < 500 ? 'refused' : 'again', reason };
}

/** What a problem says in words (RFC 9457). @param {Response} response */
async function detailOf(response) {
  const plain = `the server answers ${response.status}`;
  if (!/\bjson\b/.test(response.headers.get('content-type') ?? '')) return plain;
  try {
    const { detail } = await response.json();
    return typeof detail === 'string' ? detail : plain;
  } catch {
    return plain;
  }
}
