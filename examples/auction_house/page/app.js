// The page: one connection that tells of updates, one store of answers for each node, and views that are drawn at most once a
// frame, however much happens.

import { ActivityFeed, LiveClient, ResourceStore } from '/client/index.js';
import { actions } from '/page/actions.js';
import { drawActivity } from '/page/activity.js';
import { drawCards } from '/page/cards.js';
import { drawDetail, isAddress, pathsOf } from '/page/detail.js';
import { byId } from '/page/dom.js';
import { subjectAddress } from '/page/format.js';
import { drawHealth } from '/page/health.js';
import { House } from '/page/house.js';
import { Trail, drawTrail } from '/page/trail.js';

const LIST = '/auctions?limit=100';
const ADDRESS = /^#\/auction\/(.+)$/;

const live = new LiveClient({ url: '/events' });
const house = new House();
const trail = new Trail();
const feed = new ActivityFeed({ live, url: '/activity', types: ['sale', 'kick'], limit: 10 });
/** By node: its store, and how to stop watching the auction that is shown. */
const nodes = new Map();
/** By node: what it is called here, as long as it is there. */
const letters = new Map();
/** By address: when it changed last. */
const changed = new Map();
let chosen = null;

/**
 * For tests, and for the curious: how often this page drew, in how many frames, how many updates came, and how long the last
 * ones took from their announcement until they were drawn, in milliseconds.
 */
const seen = { renders: 0, frames: 0, updates: 0, delays: [] };
const DELAYS = 10_000;
globalThis.auctionHouse = seen;
/** Not drawn yet. */
const undrawn = [];
let lastFrame = null;
let scheduled = false;

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame((frame) => {
    scheduled = false;
    seen.renders += 1;
    if (frame !== lastFrame) seen.frames += 1;
    lastFrame = frame;
    draw();
  });
}

function draw() {
  const own = nodes.get(house.own)?.store;
  const list = own?.get(LIST);
  const auctions = list?.data?.auctions ?? [];
  const address = chosen ?? auctions[0]?.address ?? null;
  if (address !== shownAddress) choose(address);
  drawHealth({ connection: live.connection, house, trail, seen });
  drawCards({ list, auctions, address, changed });
  drawDetail({ address, nodes, letters, house, connection: live.connection });
  drawTrail(trail, nodes.size > 1);
  drawActivity(feed.snapshot);
  const now = Date.now();
  for (const { time } of undrawn.splice(0)) if (seen.delays.length < DELAYS) seen.delays.push(now - time);
}

let shownAddress;
/** Watches what is shown of the auction, on each node. */
function choose(address) {
  shownAddress = address;
  for (const node of nodes.values()) watchDetail(node);
}

function freeLetter() {
  const taken = new Set(letters.values());
  return [...'ABCDEFGH'].find((letter) => !taken.has(letter)) ?? '?';
}

function watchDetail(node) {
  node.unwatch?.();
  node.unwatch = null;
  if (!shownAddress || !isAddress(shownAddress)) return;
  const subjects = [`auction:${shownAddress.toLowerCase()}`];
  const stops = pathsOf(shownAddress).map((path) => node.store.watch(path, { subjects }, schedule));
  node.unwatch = () => stops.forEach((stop) => stop());
}

/** Follows which nodes there are. The one that served this page is asked by relative addresses. */
function followNodes() {
  for (const name of house.nodes) {
    if (nodes.has(name)) continue;
    const base = name === house.own ? '' : `${location.protocol}//${name}`;
    const node = { name, store: new ResourceStore({ live, base }), unwatch: null };
    nodes.set(name, node);
    letters.set(name, freeLetter());
    node.store.onResponse((snapshot) => {
      trail.answered(letters.get(name), snapshot);
      schedule();
    });
    if (name === house.own) node.store.watch(LIST, { subjects: 'all' }, schedule);
    watchDetail(node);
  }
  for (const [name, node] of nodes) {
    if (house.nodes.includes(name)) continue;
    node.store.close();
    nodes.delete(name);
    letters.delete(name);
  }
}

function route() {
  // Other fragments are places on the page.
  if (location.hash && !location.hash.startsWith('#/')) return;
  const named = ADDRESS.exec(location.hash)?.[1];
  chosen = named ? decoded(named) : null;
  schedule();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

live.subscribe({}, {
  update(update) {
    seen.updates += 1;
    changed.set(subjectAddress(update.subject), { at: Date.now(), type: update.type });
    trail.told(update);
    // In a hidden tab nothing is drawn, for as long as it takes.
    if (document.visibilityState === 'visible') undrawn.push(update);
    schedule();
  },
  resync(reason) {
    trail.resynced(reason);
    schedule();
  },
});
live.onConnection(schedule);
feed.onChange(schedule);
house.onChange(() => {
  followNodes();
  schedule();
});
addEventListener('hashchange', () => {
  route();
  // Chosen from further down, it would change out of sight.
  const { top, bottom } = byId('detail').getBoundingClientRect();
  if (bottom < 80 || top > innerHeight - 80) byId('detail').scrollIntoView({ block: 'start' });
});
byId('connection-retry').addEventListener('click', () => {
  live.reconnect();
  house.look();
});
byId('more').addEventListener('click', () => feed.loadMore());
byId('again').addEventListener('click', () => {
  if (!isAddress(shownAddress ?? '')) return;
  for (const { store } of nodes.values()) for (const path of pathsOf(shownAddress)) store.refresh(path);
});
actions(() => shownAddress);
// "in 3 s" counts down.
setInterval(() => {
  if (live.connection.state !== 'live') schedule();
}, 500);
followNodes();
route();
