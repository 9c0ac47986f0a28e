/** Which updates are wanted: those that pass all that is named. `{}` is everything but alerts; an empty list is nothing. */
export interface Filter {
  /** What they are about: `auction:0x…`. Addresses may be written in any letter case. */
  readonly subjects?: readonly string[] | undefined;
  /** `sale`, `kick`, …; `alert` for alerts, of which nobody is told who does not ask. */
  readonly types?: readonly string[] | undefined;
  /** Of which their field `network` is one. */
  readonly networks?: readonly string[] | undefined;
}

/** Something that changed, as the server sent it. */
export interface Update {
  /** Where it stands among all updates: `7-12.0`. */
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  /** When it was announced, in milliseconds since 1970. */
  readonly time: number;
  /** What is known of it, as text: JSON's numbers do not hold a `uint256`. */
  readonly data: Readonly<Record<string, string>>;
  /** What tells its event from others. */
  readonly identity?: string;
}

export interface Handlers {
  /** Something changed. Each comes once, in the order of the server's log. */
  update?(update: Update): void;
  /** Something changed that cannot be named, or updates were missed: load again what is shown. */
  resync?(reason: string): void;
  /** The first connection is there. What happened between `subscribe` and now is not known. */
  opened?(): void;
}

export type Transport = 'sse' | 'websocket';

export type ConnectionState =
  /** Nobody is subscribed. */
  | 'idle'
  | 'connecting'
  /** Updates come as they happen. */
  | 'live'
  /** Will try again at `retryAt`. */
  | 'waiting'
  /** The server said no, for `reason`. It is asked again at `retryAt`, rarely. */
  | 'refused'
  /** It cannot work here, for `reason`. */
  | 'unsupported'
  | 'closed';

export interface Connection {
  readonly state: ConnectionState;
  /** How, if it is known. */
  readonly transport: Transport | null;
  /** Failures in a row. */
  readonly attempt: number;
  /** When it is tried again, in milliseconds since 1970. */
  readonly retryAt: number | null;
  /** A sentence to show. */
  readonly reason: string | null;
}

export interface LiveOptions {
  /** Where live updates are: relative to the page, or absolute. Default: `/events`. */
  url?: string | undefined;
  /** Returns a ticket. Called for the first connection, and when one has expired or was refused. */
  ticket?: (() => string | Promise<string>) | undefined;
  /** Default: `auto`, which is `EventSource` where there is one, else `WebSocket`. */
  transport?: 'auto' | Transport | undefined;
  /** The name that the server gives its events. Default: `auction_update`. */
  event?: string | undefined;
  /** Asks why a connection was refused. Default: that of the page. */
  fetch?: typeof globalThis.fetch | undefined;
}

/** Why something was fetched. */
export type Cause =
  | { readonly kind: 'first' }
  | { readonly kind: 'update'; readonly update: Update }
  | { readonly kind: 'resync'; readonly reason: string }
  | { readonly kind: 'manual' }
  | { readonly kind: 'retry' };

export interface ResourceError {
  /** Of the answer; `null` if there was none. */
  readonly status: number | null;
  readonly message: string;
}

export interface ResourceResponse {
  readonly status: number;
  /** The header `Cache-Status`, as it came. */
  readonly cacheStatus: string | null;
  readonly headers: Headers;
  /** In milliseconds since 1970. */
  readonly startedAt: number;
  /** Until the whole body was there. */
  readonly milliseconds: number;
}

export interface ResourceSnapshot<T = any> {
  readonly path: string;
  /** `failed`: there is nothing to show. A failure that leaves older data on show is `ready`, with an `error`. */
  readonly state: 'loading' | 'ready' | 'failed';
  /** JSON, or else text. */
  readonly data: T | undefined;
  readonly error: ResourceError | null;
  /** The last answer, whatever its status. */
  readonly response: ResourceResponse | null;
  readonly cause: Cause;
  /** Whether it is being fetched, or will be in a moment. */
  readonly refreshing: boolean;
}

export interface WatchOptions {
  /** What the resource depends on; `all` (the default): every update. */
  readonly subjects?: readonly string[] | 'all' | undefined;
  readonly types?: readonly string[] | undefined;
}

export interface ResourceOptions {
  live: LiveSource;
  /** Stands before each path. */
  base?: string | undefined;
  fetch?: typeof globalThis.fetch | undefined;
  /** Default: 6, as many as a browser opens to one host by HTTP/1.1. */
  maxConcurrent?: number | undefined;
}

/** What of a `LiveClient` the stores use. */
export interface LiveSource {
  subscribe(filter: Filter, handlers: Handlers): () => void;
}

/** Something that happened, as the activity feed lists it. */
export interface ActivityEntry {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  /** In seconds since 1970. */
  readonly timestamp: number;
  readonly auction_address?: string;
  readonly amount: string | null;
  readonly price: string | null;
  readonly tx_hash: string | null;
  readonly network?: string;
  readonly block?: number;
  readonly reorged?: boolean;
  readonly [field: string]: unknown;
}

export interface ActivitySnapshot {
  readonly state: 'loading' | 'ready' | 'failed';
  /** Newest first. */
  readonly entries: readonly ActivityEntry[];
  readonly error: ResourceError | null;
  /** Whether `loadMore` has more. */
  readonly more: boolean;
}

export interface ActivityOptions {
  live: LiveSource;
  /** Where the activity feed is. Default: `/activity`. */
  url?: string | undefined;
  fetch?: typeof globalThis.fetch | undefined;
  /** An address: entries of this auction only. */
  auction?: string | undefined;
  types?: readonly string[] | undefined;
  /** Entries at once, up to 1,000. Default: 20. */
  limit?: number | undefined;
}
