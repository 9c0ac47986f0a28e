// The activity feed: what happened, also before this page was open.

import { byId, element, list, mark, show, write } from '/page/dom.js';
import { clock, eth, happening, short, subjectAddress } from '/page/format.js';

/** At most so often somebody is told aloud, in milliseconds. */
const ALOUD = 5_000;
let toldAloud = 0;
let newest = null;

export function drawActivity({ state, entries, error, more }) {
  const empty = byId('activity-empty');
  show(empty, entries.length === 0);
  if (state === 'failed') write(empty, `The activity cannot be loaded: ${error.message}`);
  else write(empty, state === 'ready' ? 'Nothing has happened yet.' : 'Loading what happened…');
  list(byId('feed'), entries, (entry) => entry.id, makeEntry, updateEntry);
  show(byId('more'), more);
  tellAloud(entries[0]);
}

function makeEntry() {
  const what = element('span', { class: 'what' });
  const who = element('a', { class: 'about' });
  const amount = element('span', { class: 'amount' });
  const when = element('time', { class: 'when' });
  const made = element('li', {}, what, who, amount, when);
  made.parts = { what, who, amount, when };
  return made;
}

function updateEntry({ what, who, amount, when }, entry) {
  const address = entry.auction_address ?? subjectAddress(entry.subject);
  write(what, happening(entry.type));
  mark(what, 'type', entry.type);
  write(who, short(address));
  const target = `#/auction/${address}`;
  if (who.getAttribute('href') !== target) who.setAttribute('href', target);
  write(amount, said(entry));
  write(when, clock(entry.timestamp * 1000));
}

function said({ type, amount, price }) {
  if (type === 'sale') return `${eth(amount)} paid, at ${eth(price)}`;
  return price ? `to ${eth(price)}` : '';
}

/** For who listens rather than looks: not each of a thousand. */
function tellAloud(entry) {
  if (!entry || entry.id === newest) return;
  newest = entry.id;
  if (entry.type === 'price_update' || Date.now() - toldAloud < ALOUD) return;
  toldAloud = Date.now();
  write(byId('announcer'), `${happening(entry.type)}, auction ${short(entry.auction_address ?? '')} ${said(entry)}`);
}
