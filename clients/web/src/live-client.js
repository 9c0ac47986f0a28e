import { partOf, wanted } from './filter.js';
import { watchPage } from './page.js';
import { call } from './report.js';
import { Stream } from './stream.js';
import { transportFor } from './transport.js';

/** @typedef {import('./types.js').Connection} Connection */
/** @typedef {import('./types.js').LiveOptions} LiveOptions */
/** @typedef {import('./filter.js').Subscriber} Subscriber */

/** How long a page's own function may take for a ticket. */
const TICKET = 30_000;
/** The state of a client is that of its connection that is worst off. */
const WORST_FIRST = ['refused', 'waiting', 'connecting', 'live', 'idle'];

/** See `index.d.ts`. */
export class LiveClient {
  #options;
  /** @type {Set<Subscriber>} */
  #subscribers = new Set();
  /** @type {Set<(connection: Connection) => void>} */
  #listeners = new Set();
  /** Of updates, and of alerts: none is told of both. @type {{ updates: Stream, alerts: Stream } | null} */
  #streams = null;
  /** The one in use, or asked for. @type {{ asked: Promise<string>, text: string | null } | null} */
  #ticket = null;
  /** @type {(() => void) | null} */
  #unwatchPage = null;
  #isClosed = false;
  #connection = frozen('idle');

  /** @param {LiveOptions} [options] */
  constructor(options = {}) {
    this.#options = options;
  }

  get connection() {
    return this.#connection;
  }

  /** @param {import('./types.js').Filter} filter @param {import('./types.js').Handlers} handlers */
  subscribe(filter, handlers) {
    if (this.#isClosed) return () => {};
    const subscriber = { filter: wanted(filter), handlers, lastResync: null };
    this.#subscribers.add(subscriber);
    const streams = this.#streams ?? this.#begin();
    for (const [name, stream] of Object.entries(streams ?? {})) {
      const part = partOf(subscriber.filter, name === 'alerts');
      if (part) stream.add(subscriber, part);
    }
    return () => {
      if (!this.#subscribers.delete(subscriber)) return;
      for (const stream of this.#all()) stream.remove(subscriber);
      if (this.#subscribers.size === 0 && !this.#streams) this.#show(frozen('idle'));
    };
  }

  /** @param {(connection: Connection) => void} listener */
  onConnection(listener) {
    // One that is given twice is told twice, and may leave once.
    const own = (/** @type {Connection} */ connection) => listener(connection);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  reconnect() {
    for (const stream of this.#all()) stream.reconnect();
  }

  close() {
    const streams = this.#all();
    this.#isClosed = true;
    this.#streams = this.#ticket = null;
    this.#subscribers.clear();
    for (const stream of streams) stream.close();
    this.#unwatchPage?.();
    this.#unwatchPage = null;
    this.#show(frozen('closed'));
  }

  #all() {
    return Object.values(this.#streams ?? {});
  }

  /** @returns {{ updates: Stream, alerts: Stream } | null} `null` where it cannot work */
  #begin() {
    const { url = '/events', transport = 'auto', event = 'auction_update', ticket } = this.#options;
    const kind = transportFor(transport);
    const resolved = resolve(url);
    if (!kind || !resolved) {
      const reason = kind
        ? `there is no page that ${url} could be relative to: give an absolute URL`
        : `live updates need ${NAMES[transport]}, which is missing here`;
      this.#show(frozen('unsupported', { reason }));
      return null;
    }
    const ground = {
      transport: kind,
      event,
      fetch: this.#options.fetch ?? globalThis.fetch?.bind(globalThis),
      url: (/** @type {string} */ query) => withQuery(resolved, query),
      hasTickets: Boolean(ticket),
      ticket: () => this.#ask(),
      dropTicket: (/** @type {string | null} */ used) => this.#drop(used),
      changed: () => this.#changed(),
    };
    this.#streams = { updates: new Stream(ground), alerts: new Stream(ground) };
    return this.#streams;
  }

  /** @returns {Promise<string | null>} the ticket that there is, or a new one */
  async #ask() {
    const { ticket } = this.#options;
    if (!ticket) return null;
    const held = (this.#ticket ??= { asked: within(TICKET, async () => ticket()), text: null });
    try {
      return (held.text = await held.asked);
    } catch (error) {
      if (this.#ticket === held) this.#ticket = null;
      throw error;
    }
  }

  /** A ticket was good for nothing. The other stream may have a new one already. @param {string | null} used */
  #drop(used) {
    if (this.#ticket?.text === used) this.#ticket = null;
  }

  #changed() {
    if (!this.#streams) return;
    const all = this.#all().map((stream) => stream.connection);
    const worst = (/** @type {Connection} */ one) => WORST_FIRST.indexOf(one.state);
    const [shown] = all.sort((a, b) => worst(a) - worst(b));
    const isIdle = shown.state === 'idle';
    if (isIdle) {
      this.#unwatchPage?.();
      this.#unwatchPage = null;
    } else {
      this.#unwatchPage ??= watchPage({
        wake: () => this.#all().forEach((stream) => stream.wake()),
        hide: () => this.#all().forEach((stream) => stream.hide()),
        show: () => this.#all().forEach((stream) => stream.show()),
      });
    }
    this.#show(isIdle ? frozen('idle') : Object.freeze(shown));
  }

  /** @param {Connection} next */
  #show(next) {
    const last = this.#connection;
    const names = /** @type {(keyof Connection)[]} */ (Object.keys(next));
    if (names.every((name) => last[name] === next[name])) return;
    this.#connection = next;
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) call(() => listener(next));
    }
  }
}

const NAMES = { auto: 'EventSource or WebSocket', sse: 'EventSource', websocket: 'WebSocket' };

/** @param {Connection['state']} state @param {Partial<Connection>} [more] @returns {Connection} */
function frozen(state, more) {
  return Object.freeze({ state, transport: null, attempt: 0, retryAt: null, reason: null, ...more });
}

/** @param {string} url @returns {string | null} absolute, by HTTP */
function resolve(url) {
  try {
    const base = globalThis.document?.baseURI ?? globalThis.location?.href;
    const resolved = new URL(url, base);
    // A query behind a fragment would never reach the server.
    resolved.hash = '';
    return resolved.href.replace(/^ws/, 'http');
  } catch {
    return null;
  }
}

/** @param {string} url @param {string} query */
function withQuery(url, query) {
  if (!query) return url;
  return url + (url.includes('?') ? '&' : '?') + query;
}

/**
 * @template T
 * @param {number} time
 * @param {() => Promise<T>} ask
 * @returns {Promise<T>}
 */
function within(time, ask) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`none came within ${time / 1_000} s`)), time);
    ask()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
