import { ask, Turns } from './fetching.js';
import { call } from './report.js';
import { Resource } from './resource.js';

/** @typedef {import('./types.js').ActivitySnapshot} Snapshot */
/** @typedef {import('./types.js').ActivityEntry} Entry */

/** Those who list what happened learn of it as others do, a moment later. */
const SOON = 500;
/** And some of them later than that. */
const SURELY = 2_500;
/** What the server answers at most. */
const MOST = 1_000;

/** See `index.d.ts`. */
export class ActivityFeed {
  #options;
  #limit;
  #ground;
  /** @type {Resource | null} */
  #resource = null;
  /** @type {(() => void) | null} */
  #unsubscribe = null;
  /** @type {Set<(snapshot: Snapshot) => void>} */
  #listeners = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #soon;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #surely;
  /** @type {Promise<void> | null} */
  #loadingMore = null;
  /** Where older entries begin. @type {string | null} */
  #next = null;
  /** The last answer that is on show. @type {unknown} */
  #shown = null;
  /** Whether more was loaded since the last answer. */
  #hasGrown = false;
  #stop = new AbortController();
  #isClosed = false;
  /** @type {Snapshot} */
  #snapshot = Object.freeze({ state: 'loading', entries: Object.freeze([]), error: null, more: false });

  /** @param {import('./types.js').ActivityOptions} options */
  constructor(options) {
    this.#options = options;
    this.#limit = Math.min(Math.max(1, options.limit ?? 20), MOST);
    this.#ground = {
      fetch: options.fetch ?? ((/** @type {any[]} */ ...args) => globalThis.fetch(.../** @type {[any]} */ (args))),
      turns: new Turns(1),
      answered() {},
    };
  }

  get snapshot() {
    return this.#snapshot;
  }

  /** @param {(snapshot: Snapshot) => void} listener */
  onChange(listener) {
    if (this.#isClosed) return () => {};
    const own = (/** @type {Snapshot} */ snapshot) => listener(snapshot);
    this.#listeners.add(own);
    if (!this.#resource) this.#begin();
    return () => {
      this.#listeners.delete(own);
      // Whoever listens again at once finds it as it was.
      queueMicrotask(() => this.#listeners.size === 0 && this.#end());
    };
  }

  refresh() {
    this.#load({ kind: 'manual' });
  }

  loadMore() {
    this.#loadingMore ??= this.#more().finally(() => (this.#loadingMore = null));
    return this.#loadingMore;
  }

  close() {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#end();
  }

  #begin() {
    const { live, auction, types } = this.#options;
    const subjects = auction === undefined ? undefined : [`auction:${auction}`];
    this.#stop = new AbortController();
    this.#unsubscribe = live.subscribe(
      { subjects, types },
      {
        update: (update) => this.#happened({ kind: 'update', update }),
        resync: (reason) => this.#happened({ kind: 'resync', reason }),
        opened: () => this.#happened({ kind: 'resync', reason: 'connected' }),
      },
    );
    const url = this.#url(this.#limit);
    this.#resource = new Resource(this.#ground, url, url);
    this.#resource.listen((snapshot) => this.#take(snapshot));
  }

  #end() {
    this.#unsubscribe?.();
    this.#resource?.stop();
    this.#stop.abort();
    clearTimeout(this.#soon);
    clearTimeout(this.#surely);
    this.#soon = this.#surely = undefined;
    this.#resource = this.#unsubscribe = null;
  }

  /** @param {import('./types.js').Cause} cause */
  #happened(cause) {
    const load = () => this.#reload(Object.freeze(cause));
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      load();
    }, SOON);
    clearTimeout(this.#surely);
    this.#surely = setTimeout(load, SURELY);
  }

  /** Something happened: who is in trouble is not asked more often for that. @param {import('./types.js').Cause} cause */
  #reload(cause) {
    this.#widen();
    this.#resource?.changed({}, cause);
  }

  /** @param {import('./types.js').Cause} cause */
  #load(cause) {
    this.#widen();
    this.#resource?.load(cause);
  }

  /** Asks for all that is shown, so that what was undone goes from all pages. */
  #widen() {
    if (!this.#resource) return;
    this.#resource.url = this.#url(Math.min(Math.max(this.#limit, this.#snapshot.entries.length), MOST));
  }

  /** @param {import('./types.js').ResourceSnapshot} resource */
  #take({ state, data, error }) {
    if (data === this.#shown || !data) return this.#become({ state, error });
    const isShort = this.#hasGrown && data.next && (data.entries?.length ?? 0) < this.#snapshot.entries.length;
    this.#hasGrown = false;
    this.#shown = data;
    if (isShort) {
      // It was asked for before more was loaded.
      this.#load({ kind: 'manual' });
      return this.#become({ state, error });
    }
    this.#next = data.next ?? null;
    this.#become({ state, error, entries: frozen(data.entries ?? []), more: this.#next !== null });
  }

  async #more() {
    const signal = this.#stop.signal;
    // What is shown may be another list by then; then what follows that is wanted.
    while (this.#next !== null && !signal.aborted) {
      const next = this.#next;
      const { data, error } = await ask(this.#ground.fetch, this.#url(this.#limit, next), signal);
      if (signal.aborted) return;
      if (error) return this.#become({ error });
      if (next !== this.#next) continue;
      this.#next = data?.next ?? null;
      this.#hasGrown = true;
      const known = new Set(this.#snapshot.entries.map((entry) => entry.id));
      const older = (data?.entries ?? []).filter((/** @type {Entry} */ entry) => !known.has(entry.id));
      return this.#become({
        error: null,
        entries: frozen([...this.#snapshot.entries, ...older]),
        more: this.#next !== null,
      });
    }
  }

  /** @param {number} limit @param {string} [cursor] */
  #url(limit, cursor) {
    const { url = '/activity', auction, types } = this.#options;
    const parts = [
      `limit=${limit}`,
      auction !== undefined && `auction=${encodeURIComponent(auction)}`,
      types && `type=${types.map(encodeURIComponent).join(',')}`,
      cursor !== undefined && `cursor=${encodeURIComponent(cursor)}`,
    ];
    return url + (url.includes('?') ? '&' : '?') + parts.filter(Boolean).join('&');
  }

  /** @param {Partial<Snapshot>} changes */
  #become(changes) {
    const last = this.#snapshot;
    const names = /** @type {(keyof Snapshot)[]} */ (Object.keys(changes));
    if (names.every((name) => last[name] === changes[name])) return;
    this.#snapshot = Object.freeze({ ...last, ...changes });
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) call(() => listener(this.#snapshot));
    }
  }
}

/** @param {Entry[]} entries @returns {readonly Entry[]} */
function frozen(entries) {
  return Object.freeze(entries.map((entry) => Object.freeze(entry)));
}
