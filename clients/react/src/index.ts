export { TagcacheClient } from './client.js';
export type { FeedFilter, TagcacheOptions } from './client.js';
export { TagcacheProvider, useTagcache } from './provider.js';
export type { TagcacheProviderProps } from './provider.js';
export { useActivityFeed, useConnection, useLiveUpdates, useRealtimeAuction, useResource } from './hooks.js';
export type {
  Activity,
  AuctionUpdate,
  LiveUpdates,
  LiveUpdatesOptions,
  RealtimeAuctionOptions,
  Resource,
  UseActivityFeedOptions,
  UseResourceOptions,
} from './hooks.js';
export { ActivityFeed, LiveClient, ResourceStore } from './web.js';
export type * from './web.js';
