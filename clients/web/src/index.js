export { LiveClient } from './live-client.js';
export { ResourceStore } from './resource-store.js';
export { ActivityFeed } from './activity-feed.js';
