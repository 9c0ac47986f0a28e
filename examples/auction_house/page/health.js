// The head of the page: whether updates come, whether Redis answers, and what the cache saved so far.

import { byId, mark, show, write } from '/page/dom.js';
import { milliseconds } from '/page/format.js';

export function drawHealth({ connection, house, trail, seen }) {
  drawConnection(connection, house);
  drawStore(house);
  const { hits, misses } = trail.times;
  const answers = hits.count + misses.count;
  write(byId('tally-hits'), answers ? `${hits.count.toLocaleString('en')} of ${answers.toLocaleString('en')}` : '–');
  write(byId('tally-hit-time'), milliseconds(hits.median()));
  write(byId('tally-miss-time'), milliseconds(misses.median()));
  write(byId('tally-updates'), seen.updates.toLocaleString('en'));
}

function drawConnection({ state, transport, retryAt, reason }, house) {
  const away = state === 'waiting' || state === 'refused';
  mark(byId('connection'), 'state', state);
  const seconds = Math.max(0, Math.ceil(((retryAt ?? 0) - Date.now()) / 1000));
  const again = retryAt ? `next try in ${seconds} s` : 'trying again';
  const text = {
    idle: 'Not connected',
    connecting: 'Connecting…',
    live: transport === 'websocket' ? 'Live, by WebSocket' : 'Live',
    waiting: `${house.awaySince ? 'Server away' : 'Connection lost'}, ${again}`,
    refused: `Refused, ${again}`,
    unsupported: 'No live updates here',
    closed: 'Closed',
  }[state];
  write(byId('connection-text'), text);
  // Without the countdown, which would be read aloud each second.
  write(byId('announced-state'), text.split(',')[0]);
  show(byId('connection-retry'), away);
  const said = notice(state, reason, house);
  write(byId('notice'), said ?? '');
  show(byId('notice'), said !== null);
}

function notice(state, reason, house) {
  if (state === 'unsupported' || state === 'refused') return reason;
  if (house.awaySince) return 'The server does not answer. What is shown is what it said last; it is tried again by itself.';
  const { status } = house;
  if (status?.shared && !status.followed) {
    return 'Redis does not answer. Each answer comes from the origin until it is back; nothing old is served.';
  }
  return null;
}

function drawStore({ status, awaySince }) {
  const store = byId('store');
  if (!status || awaySince) {
    mark(store, 'state', 'unknown');
    write(byId('store-text'), status ? 'Cache unknown' : '…');
    return;
  }
  const works = status.followed;
  mark(store, 'state', works ? 'live' : 'waiting');
  const name = status.shared ? (status.server ?? 'Redis') : 'Cache in this process';
  write(byId('store-text'), works || !status.shared ? name : 'Redis away');
}
