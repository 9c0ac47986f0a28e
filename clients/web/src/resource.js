import { backoff, now } from './backoff.js';
import { ask } from './fetching.js';
import { call } from './report.js';

/** @typedef {import('./types.js').Cause} Cause */
/** @typedef {import('./types.js').ResourceSnapshot} Snapshot */

const FIRST_WAIT = 1_000;
/** Between the beginnings of two fetches, where much changes: a thousand updates a second are no thousand requests. */
const PACE = 100;
/** @type {Cause} */
const RETRY = Object.freeze({ kind: 'retry' });

/** One path: fetched once at a time, and once more if it changed meanwhile. */
export class Resource {
  #ground;
  /** @type {Snapshot} */
  #snapshot;
  /** @type {Set<(snapshot: Snapshot) => void>} */
  #listeners = new Set();
  /** Why it has to be fetched after the present fetch. @type {Cause | null} */
  #dirty = null;
  /** Ends the present fetch, or takes it off the line. @type {(() => void) | null} */
  #fetching = null;
  #hasBegun = false;
  /** When it is fetched again, and why. @type {{ timer: ReturnType<typeof setTimeout>, cause: Cause } | null} */
  #retry = null;
  /** When a change is fetched again at the earliest. */
  #next = 0;
  #failures = 0;
  /** @type {unknown} */
  #handled = null;

  /**
   * @param {{
   *   fetch: typeof globalThis.fetch,
   *   turns: import('./fetching.js').Turns,
   *   answered(snapshot: Snapshot): void,
   * }} ground
   * @param {string} path
   * @param {string} url
   */
  constructor(ground, path, url) {
    this.#ground = ground;
    this.url = url;
    this.#snapshot = Object.freeze({
      path,
      state: 'loading',
      data: undefined,
      error: null,
      response: null,
      cause: Object.freeze({ kind: 'first' }),
      refreshing: false,
    });
    this.load(this.#snapshot.cause);
  }

  get snapshot() {
    return this.#snapshot;
  }

  get isWatched() {
    return this.#listeners.size > 0;
  }

  /** @param {(snapshot: Snapshot) => void} listener @returns {() => void} */
  listen(listener) {
    const own = (/** @type {Snapshot} */ snapshot) => listener(snapshot);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /**
   * Something that may be told more than once, since several watch: `what` tells it from others.
   *
   * @param {unknown} what
   * @param {Cause} cause
   */
  changed(what, cause) {
    if (what === this.#handled) return;
    this.#handled = what;
    // A reason comes again with the next trouble; an update never does.
    if (typeof what === 'string') queueMicrotask(() => (this.#handled = null));
    // Who is in trouble is not asked more often because more happens.
    if (this.#retry) this.#retry.cause = cause;
    else if (this.#fetching) this.load(cause);
    else this.#loadSoon(cause);
  }

  /** At once after a quiet time; else in its turn. @param {Cause} cause */
  #loadSoon(cause) {
    const wait = this.#next - now();
    if (wait <= 0) return this.load(cause);
    this.#retryIn(wait, cause);
    this.#become({ refreshing: true });
  }

  /** Fetches now, or once more after the present fetch. @param {Cause} cause */
  load(cause) {
    this.#forgetRetry();
    // What still waits for its turn will see what changed.
    if (this.#fetching && !this.#hasBegun) return;
    if (this.#fetching) {
      this.#dirty = cause;
      return;
    }
    const stop = new AbortController();
    this.#hasBegun = false;
    const leave = this.#ground.turns.take(() => this.#fetch(cause, stop.signal));
    this.#fetching = () => {
      leave();
      stop.abort();
    };
    this.#become({ refreshing: true, cause });
  }

  stop() {
    this.#forgetRetry();
    this.#listeners.clear();
    this.#fetching?.();
  }

  /** @param {Cause} cause @param {AbortSignal} signal */
  async #fetch(cause, signal) {
    this.#hasBegun = true;
    if (cause.kind === 'update' || cause.kind === 'resync') this.#next = now() + PACE;
    const { data, error, response, again, wait } = await ask(this.#ground.fetch, this.url, signal);
    if (signal.aborted) return;
    this.#fetching = null;
    this.#hasBegun = false;
    // What cannot be asked leaves what is known; what is gone does not.
    const isKept = again && this.#snapshot.state === 'ready';
    const dirty = this.#dirty;
    this.#dirty = null;
    this.#become({
      state: error && !isKept ? 'failed' : 'ready',
      data: isKept ? this.#snapshot.data : data,
      error,
      response,
      cause,
      refreshing: false,
    });
    this.#ground.answered(this.#snapshot);
    this.#failures = again ? this.#failures + 1 : 0;
    if (!this.isWatched) return;
    if (again) this.#retryIn(wait + backoff(this.#failures, FIRST_WAIT), dirty ?? RETRY);
    else if (dirty) this.#loadSoon(dirty);
  }

  /** @param {number} wait @param {Cause} cause */
  #retryIn(wait, cause) {
    const retry = { cause, timer: setTimeout(() => this.load(retry.cause), wait) };
    this.#retry = retry;
  }

  #forgetRetry() {
    clearTimeout(this.#retry?.timer);
    this.#retry = null;
  }

  /** @param {Partial<Snapshot>} changes */
  #become(changes) {
    this.#snapshot = Object.freeze({ ...this.#snapshot, ...changes });
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) call(() => listener(this.#snapshot));
    }
  }
}
