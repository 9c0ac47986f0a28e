import { inNextFrame, notAtAll } from './frame.js';
import type { Filter, LiveClient, Update } from './web.js';

export interface LogSnapshot {
  /** Newest first. */
  readonly updates: readonly Update[];
  /** How often updates were missed, and the list was cleared. */
  readonly resyncs: number;
}

export interface LogHandlers {
  onUpdate?: ((update: Update) => void) | undefined;
  onResync?: ((reason: string) => void) | undefined;
}

export const EMPTY: LogSnapshot = Object.freeze({ updates: Object.freeze([]), resyncs: 0 });

/** The last updates that pass a filter, kept while somebody looks. */
export class UpdateLog {
  readonly #live: LiveClient | null;
  readonly #filter: Filter | null;
  readonly #limit: number;
  readonly #handlers: { readonly current: LogHandlers | undefined };
  readonly #listeners = new Set<() => void>();
  #stop: (() => void) | null = null;
  #snapshot = EMPTY;
  /** Oldest first, since the last frame. */
  #fresh: Update[] = [];
  #resyncs = 0;

  constructor(
    live: LiveClient | null,
    filter: Filter | null,
    limit: number,
    handlers: { readonly current: LogHandlers | undefined },
  ) {
    this.#live = live;
    this.#filter = filter;
    this.#limit = limit;
    this.#handlers = handlers;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#live && this.#filter) {
      if (!this.#stop && this.#snapshot.updates.length > 0) this.#missed();
      this.#stop ??= this.#live.subscribe(this.#filter, {
        update: (update) => this.#add(update),
        resync: (reason) => this.#clear(reason),
      });
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#stop?.();
      this.#stop = null;
      notAtAll(this.#publish);
    };
  };

  /** Nobody looked for a while, as React hides what is not seen: what happened meanwhile is not known. */
  #missed(): void {
    this.#fresh = [];
    this.#resyncs += 1;
    this.#snapshot = Object.freeze({ updates: Object.freeze([]), resyncs: this.#resyncs });
    this.#handlers.current?.onResync?.('nobody looked for a while');
  }

  readonly snapshot = (): LogSnapshot => this.#snapshot;

  #add(update: Update): void {
    this.#fresh.push(update);
    if (this.#fresh.length > 2 * this.#limit) this.#fresh = this.#fresh.slice(-this.#limit);
    inNextFrame(this.#publish);
    this.#handlers.current?.onUpdate?.(update);
  }

  /** What was missed cannot be shown, so neither is what came before. */
  #clear(reason: string): void {
    this.#fresh = [];
    this.#resyncs += 1;
    inNextFrame(this.#publish);
    this.#handlers.current?.onResync?.(reason);
  }

  readonly #publish = (): void => {
    const { updates, resyncs } = this.#snapshot;
    const before = resyncs === this.#resyncs ? updates : [];
    const all = [...this.#fresh.reverse(), ...before];
    this.#fresh = [];
    this.#snapshot = Object.freeze({ updates: Object.freeze(all.slice(0, this.#limit)), resyncs: this.#resyncs });
    for (const listener of this.#listeners) listener();
  };
}
