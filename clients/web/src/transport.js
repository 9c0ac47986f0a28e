// One connection, by either transport, told in the same words.

import { report } from './report.js';

/** @typedef {import('./types.js').Update} Update */

/**
 * What a connection says. After `ended`, `failed` and `refused` it is closed.
 *
 * @typedef {{
 *   opened(position: string | null): void,
 *   heard(beats: boolean): void,
 *   update(update: Update): void,
 *   position(id: string): void,
 *   resync(id: string | null, reason: string): void,
 *   ended(reason: string): void,
 *   failed(reason: string): void,
 *   refused(reason: string): void,
 * }} Ears
 */

/** @typedef {{ close(): void, ping?(): void }} Wire `ping` asks for a sign of life, where none comes by itself */

/** Whose `unsubscribe` is answered and changes nothing: a page cannot send a ping, but this. */
const NOBODY = 'nobody';

/** @param {'auto' | 'sse' | 'websocket'} wish @returns {'sse' | 'websocket' | null} what there is here */
export function transportFor(wish) {
  if (wish !== 'websocket' && typeof globalThis.EventSource === 'function') return 'sse';
  if (wish !== 'sse' && typeof globalThis.WebSocket === 'function') return 'websocket';
  return null;
}

/** @param {string} url @param {string} event @param {Ears} ears @returns {Wire} */
export function openEventSource(url, event, ears) {
  const source = new EventSource(url);
  const on = (/** @type {string} */ name, /** @type {(event: MessageEvent) => void} */ hear) =>
    source.addEventListener(name, (event) => {
      if (source.readyState === source.CLOSED) return;
      ears.heard(name === 'position');
      hear(/** @type {MessageEvent} */ (event));
    });
  source.onopen = () => ears.opened(null);
  // It is closed then: its own way of coming back neither backs off nor says why it failed.
  source.onerror = () => ears.failed('the connection was lost');
  for (const name of new Set([event, 'message', 'alert'])) {
    on(name, ({ data }) => withJson(data, ears, (json) => hearUpdate(json, ears)));
  }
  on('position', ({ lastEventId }) => ears.position(lastEventId));
  on('resync', ({ data }) => withJson(data, ears, (json) => ears.resync(json.id ?? null, json.reason)));
  on('end', ({ data }) => withJson(data, ears, (json) => ears.ended(json.reason)));
  return {
    close() {
      source.onopen = source.onerror = null;
      source.close();
    },
  };
}

/**
 * @param {string} url
 * @param {boolean} isNamed whether the server takes the URL for a subscription
 * @param {Ears} ears
 * @returns {Wire}
 */
export function openWebSocket(url, isNamed, ears) {
  const socket = new WebSocket(url.replace(/^http/, 'ws'));
  const say = (/** @type {object} */ message) => socket.send(JSON.stringify(message));
  let open = true;
  socket.onopen = () => {
    if (!isNamed) say({ op: 'subscribe', name: '' });
  };
  socket.onmessage = ({ data }) => {
    ears.heard(true);
    withJson(data, ears, (json) => {
      switch (json.op) {
        // What has no `op` is told: of any type, also one that sounds like an answer.
        case undefined:
          return json.type === 'resync' ? ears.resync(json.id ?? null, json.reason) : hearUpdate(json, ears);
        // Until then it is not known what is told.
        case 'subscribed':
          return ears.opened(json.id ?? null);
        case 'position':
          return ears.position(json.id);
        case 'error':
          return ears.refused(json.detail);
        default:
          return undefined;
      }
    });
  };
  const isOver = () => {
    const was = open;
    open = false;
    return !was;
  };
  socket.onerror = () => {
    if (!isOver()) ears.failed('the connection was lost');
  };
  socket.onclose = ({ code, reason }) => {
    if (isOver()) return;
    // 1001, 1008 and 1013 are what an `end` is of server-sent events.
    if (reason && [1001, 1008, 1013].includes(code)) ears.ended(reason);
    else ears.failed(reason || 'the connection was lost');
  };
  return {
    close() {
      open = false;
      socket.onopen = socket.onmessage = socket.onclose = null;
      // Closing one that is not open yet is an error to it, and to nobody else.
      socket.onerror = () => {};
      socket.close();
    },
    ping() {
      if (socket.readyState === socket.OPEN) say({ op: 'unsubscribe', name: NOBODY });
    },
  };
}

/** @param {any} json @param {Ears} ears */
function hearUpdate(json, ears) {
  if (typeof json.type === 'string' && typeof json.subject === 'string') ears.update(json);
  else hearAnything(new Error('an update has no type or subject'), ears);
}

/**
 * @param {unknown} text
 * @param {Ears} ears
 * @param {(json: any) => void} hear
 */
function withJson(text, ears, hear) {
  let json;
  try {
    json = JSON.parse(String(text));
  } catch (error) {
    return hearAnything(error, ears);
  }
  if (json !== null && typeof json === 'object') hear(json);
  else hearAnything(new Error('a message is no JSON object'), ears);
}

/** What cannot be read may have been anything. @param {unknown} error @param {Ears} ears */
function hearAnything(error, ears) {
  report(error);
  ears.resync(null, 'an update could not be read');
}
