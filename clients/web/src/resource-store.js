import { Turns } from './fetching.js';
import { call } from './report.js';
import { Resource } from './resource.js';

/** @typedef {import('./types.js').ResourceSnapshot} Snapshot */

/** See `index.d.ts`. */
export class ResourceStore {
  #live;
  #base;
  #ground;
  /** Those that are watched, and nothing else. @type {Map<string, Resource>} */
  #resources = new Map();
  /** @type {Set<(snapshot: Snapshot) => void>} */
  #listeners = new Set();
  /** @type {Set<() => void>} */
  #watches = new Set();
  #isClosed = false;

  /** @param {import('./types.js').ResourceOptions} options */
  constructor({ live, base = '', fetch, maxConcurrent = 6 }) {
    this.#live = live;
    this.#base = base;
    this.#ground = {
      // Looked up when it is used: constructing touches nothing.
      fetch: fetch ?? ((/** @type {any[]} */ ...args) => globalThis.fetch(.../** @type {[any]} */ (args))),
      turns: new Turns(maxConcurrent),
      answered: (/** @type {Snapshot} */ snapshot) => this.#answered(snapshot),
    };
  }

  /**
   * @param {string} path
   * @param {import('./types.js').WatchOptions} options
   * @param {(snapshot: Snapshot) => void} listener
   */
  watch(path, { subjects = 'all', types }, listener) {
    if (this.#isClosed) return () => {};
    // Before it is fetched: what comes meanwhile is not missed.
    const unsubscribe = this.#live.subscribe(
      { subjects: subjects === 'all' ? undefined : subjects, types },
      {
        update: (update) => this.#resources.get(path)?.changed(update, Object.freeze({ kind: 'update', update })),
        resync: (reason) => this.#resync(path, reason),
        opened: () => this.#resync(path, 'connected'),
      },
    );
    const known = this.#resources.get(path);
    const resource = known ?? new Resource(this.#ground, path, this.#base + path);
    this.#resources.set(path, resource);
    const unlisten = resource.listen(listener);
    const unwatch = () => {
      if (!this.#watches.delete(unwatch)) return;
      unsubscribe();
      unlisten();
      // Whoever watches again at once finds it as it was.
      queueMicrotask(() => this.#leave(path, resource));
    };
    this.#watches.add(unwatch);
    return unwatch;
  }

  /** @param {string} path */
  get(path) {
    return this.#resources.get(path)?.snapshot;
  }

  /** @param {(snapshot: Snapshot) => void} listener */
  onResponse(listener) {
    const own = (/** @type {Snapshot} */ snapshot) => listener(snapshot);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  /** @param {string} path */
  refresh(path) {
    this.#resources.get(path)?.load(Object.freeze({ kind: 'manual' }));
  }

  close() {
    this.#isClosed = true;
    for (const unwatch of [...this.#watches]) unwatch();
    for (const [path, resource] of [...this.#resources]) this.#leave(path, resource);
    this.#listeners.clear();
  }

  /** @param {string} path @param {string} reason */
  #resync(path, reason) {
    this.#resources.get(path)?.changed(reason, Object.freeze({ kind: 'resync', reason }));
  }

  /** @param {string} path @param {Resource} resource */
  #leave(path, resource) {
    if (resource.isWatched || this.#resources.get(path) !== resource) return;
    this.#resources.delete(path);
    resource.stop();
  }

  /** @param {Snapshot} snapshot */
  #answered(snapshot) {
    for (const listener of [...this.#listeners]) call(() => listener(snapshot));
  }
}
