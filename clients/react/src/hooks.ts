import { useCallback, useMemo, useSyncExternalStore } from 'react';
import type { FeedFilter, TagcacheClient } from './client.js';
import { inNextFrame, notAtAll } from './frame.js';
import { useLatest, useTagcache } from './provider.js';
import { EMPTY, UpdateLog } from './update-log.js';
import type {
  ActivityFeed,
  ActivitySnapshot,
  Cause,
  Connection,
  Filter,
  ResourceError,
  ResourceResponse,
  ResourceSnapshot,
  Update,
  WatchOptions,
} from './web.js';

export interface LiveUpdatesOptions {
  /** How many of the last updates are kept. Default: 50. */
  limit?: number | undefined;
  /** Called for each update, as it comes. */
  onUpdate?: ((update: Update) => void) | undefined;
  /** Called when updates were missed: load again what is shown. */
  onResync?: ((reason: string) => void) | undefined;
  client?: TagcacheClient | undefined;
}

export interface LiveUpdates<U = Update> {
  /** The last ones, newest first. */
  updates: readonly U[];
  connection: Connection;
  /** How often updates were missed, and the list was cleared. */
  resyncs: number;
}

/** The updates that pass `filter`; `null` is none. A filter of other values begins an empty list. */
export function useLiveUpdates(filter: Filter | null | undefined, options?: LiveUpdatesOptions): LiveUpdates {
  const client = useTagcache(options?.client);
  const connection = useConnection(options?.client);
  const handlers = useLatest(options);
  const limit = options?.limit ?? 50;
  const value = filter ? valueOf(filter) : null;
  const log = useMemo(
    () => new UpdateLog(client?.live ?? null, value === null ? null : JSON.parse(value), limit, handlers),
    [client, value, limit, handlers],
  );
  const { updates, resyncs } = useSyncExternalStore(log.subscribe, log.snapshot, () => EMPTY);
  return { updates, resyncs, connection };
}

/** What an auction is told of. Other types may be announced too. */
export interface AuctionUpdate extends Update {
  readonly type: 'sale' | 'kick' | 'price_update' | (string & {});
}

export interface RealtimeAuctionOptions extends LiveUpdatesOptions {
  /** Default: all there are. */
  types?: readonly string[] | undefined;
}

/** The updates of one auction; no address is none. Another address begins an empty list. */
export function useRealtimeAuction(
  address: string | null | undefined,
  options?: RealtimeAuctionOptions,
): LiveUpdates<AuctionUpdate> {
  const filter = address ? { subjects: [`auction:${spelled(address)}`], types: options?.types } : null;
  return useLiveUpdates(filter, options);
}

/** One address of Ethereum is one auction, however it is written. */
function spelled(address: string): string {
  return /^0x[0-9a-f]{40}$/i.test(address) ? address.toLowerCase() : address;
}

const NOT_CONNECTED: Connection = Object.freeze({
  state: 'idle',
  transport: null,
  attempt: 0,
  retryAt: null,
  reason: null,
});

/** How the connection is that all share. */
export function useConnection(given?: TagcacheClient): Connection {
  const live = useTagcache(given)?.live;
  const subscribe = useCallback(
    (changed: () => void) => perFrame(changed, (changed) => live?.onConnection(changed)),
    [live],
  );
  return useSyncExternalStore(subscribe, () => live?.connection ?? NOT_CONNECTED, () => NOT_CONNECTED);
}

export interface UseResourceOptions extends WatchOptions {
  client?: TagcacheClient | undefined;
}

export interface Resource<T> {
  data: T | undefined;
  error: ResourceError | null;
  /** `idle` without a path; `failed` if there is nothing to show. */
  state: 'idle' | ResourceSnapshot['state'];
  response: ResourceResponse | null;
  cause: Cause | null;
  /** Whether it is being fetched. */
  refreshing: boolean;
  /** Fetches it now. */
  refresh: () => void;
}

/** What is at `path`, fetched again whenever an update says that it changed; no path is nothing. */
export function useResource<T = unknown>(path: string | null | undefined, options?: UseResourceOptions): Resource<T> {
  const resources = useTagcache(options?.client)?.resources;
  const value = JSON.stringify([options?.subjects ?? 'all', options?.types ?? null]);
  const subscribe = useCallback(
    (changed: () => void) =>
      perFrame(changed, (changed) => {
        if (!path) return undefined;
        const [subjects, types] = JSON.parse(value);
        return resources?.watch(path, { subjects, types: types ?? undefined }, changed);
      }),
    [resources, path, value],
  );
  const current = () => (path && resources?.get(path)) || null;
  const snapshot: ResourceSnapshot<T> | null = useSyncExternalStore(subscribe, current, () => null);
  const refresh = useCallback(() => {
    if (path) resources?.refresh(path);
  }, [resources, path]);
  return {
    data: snapshot?.data,
    error: snapshot?.error ?? null,
    state: snapshot?.state ?? (path ? 'loading' : 'idle'),
    response: snapshot?.response ?? null,
    cause: snapshot?.cause ?? null,
    refreshing: snapshot?.refreshing ?? false,
    refresh,
  };
}

const NOTHING_YET: ActivitySnapshot = Object.freeze({
  state: 'loading',
  entries: Object.freeze([]),
  error: null,
  more: false,
});

export interface UseActivityFeedOptions extends FeedFilter {
  client?: TagcacheClient | undefined;
}

export interface Activity extends ActivitySnapshot {
  /** Adds the next older entries. */
  loadMore: () => Promise<void>;
}

/** What happened, newest first, and what happens from now on. */
export function useActivityFeed({ client: given, auction, types, limit }: UseActivityFeedOptions = {}): Activity {
  const client = useTagcache(given);
  const value = types ? valueOf({ types }) : null;
  const feed: ActivityFeed | undefined = useMemo(
    () => client?.activity({ auction, limit, types: value === null ? undefined : JSON.parse(value).types }),
    [client, auction, limit, value],
  );
  const subscribe = useCallback(
    (changed: () => void) => perFrame(changed, (changed) => feed?.onChange(changed)),
    [feed],
  );
  const snapshot = useSyncExternalStore(subscribe, () => feed?.snapshot ?? NOTHING_YET, () => NOTHING_YET);
  const loadMore = useCallback(async () => feed?.loadMore(), [feed]);
  return { ...snapshot, loadMore };
}

/** Tells `changed` once in a frame. */
function perFrame(changed: () => void, listen: (changed: () => void) => (() => void) | undefined): () => void {
  const notify = () => changed();
  const stop = listen(() => inNextFrame(notify));
  return () => {
    stop?.();
    notAtAll(notify);
  };
}

/** Objects are mostly written in place, and new each time: what counts is what they say. */
function valueOf({ subjects, types, networks }: Filter): string {
  const sorted = (list: readonly string[] | undefined) => list && [...new Set(list)].sort();
  return JSON.stringify({ subjects: sorted(subjects), types: sorted(types), networks: sorted(networks) });
}
