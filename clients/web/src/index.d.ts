import type {
  ActivityOptions,
  ActivitySnapshot,
  Connection,
  Filter,
  Handlers,
  LiveOptions,
  ResourceOptions,
  ResourceSnapshot,
  WatchOptions,
} from './types.js';

export type * from './types.js';

/** Keeps one connection for all subscriptions, and comes back by itself with nothing lost. */
export class LiveClient {
  /** Does nothing until somebody subscribes. */
  constructor(options?: LiveOptions);
  /** The same object until something changes. */
  get connection(): Connection;
  /** Returns what ends the subscription. */
  subscribe(filter: Filter, handlers: Handlers): () => void;
  onConnection(listener: (connection: Connection) => void): () => void;
  /** Connects anew, now. */
  reconnect(): void;
  close(): void;
}

/** Fetches what is watched, and again when it changes. */
export class ResourceStore {
  constructor(options: ResourceOptions);
  /** Fetches `path` and tells `listener` of each change until the returned function is called. */
  watch(path: string, options: WatchOptions, listener: (snapshot: ResourceSnapshot) => void): () => void;
  /** What is known of a path that is watched. */
  get(path: string): ResourceSnapshot | undefined;
  /** Tells of every answer, and of every failure to get one. */
  onResponse(listener: (snapshot: ResourceSnapshot) => void): () => void;
  /** Fetches a path that is watched, now. */
  refresh(path: string): void;
  close(): void;
}

/** What happened, newest first, kept up to date while somebody listens. */
export class ActivityFeed {
  constructor(options: ActivityOptions);
  /** The same object until something changes. */
  get snapshot(): ActivitySnapshot;
  /** The first listener begins loading. */
  onChange(listener: (snapshot: ActivitySnapshot) => void): () => void;
  /** Loads again, now. */
  refresh(): void;
  /** Adds the next older entries. */
  loadMore(): Promise<void>;
  close(): void;
}
