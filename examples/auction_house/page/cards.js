// The list of auctions, with their state and price.

import { byId, element, list, mark, show, write } from '/page/dom.js';
import { eth, happening, milliseconds, outcome, serverTime, short } from '/page/format.js';

/** How long a card shows that it has changed. */
const FLASH = 1_200;

export function drawCards({ list: answer, auctions, address, changed }) {
  const empty = byId('list-empty');
  show(empty, auctions.length === 0);
  if (answer?.state === 'failed') write(empty, `The auctions cannot be loaded: ${answer.error.message}`);
  else write(empty, answer?.state === 'ready' ? 'No auctions yet.' : 'Loading the auctions…');
  if (answer?.response) {
    const came = outcome(answer.response.cacheStatus);
    write(byId('list-source'), `${came.text} · ${milliseconds(serverTime(answer.response))}`);
    mark(byId('list-source'), 'kind', came.kind);
  }
  list(byId('cards'), auctions, (auction) => auction.address, makeCard, (parts, auction, card) =>
    updateCard(parts, auction, card, address, changed.get(auction.address)),
  );
}

function makeCard(auction) {
  const name = element('span', { class: 'card-name' }, short(auction.address));
  const state = element('span', { class: 'badge' });
  const price = element('span', { class: 'card-price' });
  const more = element('span', { class: 'card-more' });
  const last = element('span', { class: 'card-last' });
  const link = element(
    'a',
    { class: 'card', href: `#/auction/${auction.address}` },
    element('span', { class: 'card-head' }, name, state),
    price,
    element('span', { class: 'card-foot' }, more, last),
  );
  const made = element('li', {}, link);
  made.parts = { link, state, price, more, last };
  return made;
}

function updateCard({ link, state, price, more, last }, auction, card, address, change) {
  const isChosen = auction.address === address?.toLowerCase();
  if (isChosen && !link.hasAttribute('aria-current')) card.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  if (isChosen) link.setAttribute('aria-current', 'true');
  else link.removeAttribute('aria-current');
  mark(state, 'state', auction.status);
  write(state, auction.status === 'active' ? `Round ${auction.rounds}` : 'Not begun');
  write(price, eth(auction.price));
  write(more, `${auction.sales.toLocaleString('en')} sold`);
  write(last, change ? happening(change.type) : '');
  if (change && change.at !== card.shownChange && Date.now() - change.at < FLASH) {
    card.shownChange = change.at;
    // Begins anew if it is still running.
    link.getAnimations().forEach((animation) => animation.cancel());
    mark(link, 'flash', link.dataset.flash === 'a' ? 'b' : 'a');
  }
}
