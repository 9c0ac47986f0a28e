// One auction: its figures, its price curve, and where each node had them from.

import { drawCurve } from '/page/chart.js';
import { byId, element, list, mark, show, write } from '/page/dom.js';
import { answerName, eth, happening, milliseconds, outcome, serverTime, short } from '/page/format.js';

const base = (address) => `/auctions/${encodeURIComponent(address.toLowerCase())}`;

/** Whether it can be that of a contract. */
export const isAddress = (text) => /^0x[0-9a-f]{40}$/i.test(text);

/** What is asked of an auction. */
export const pathsOf = (address) => [base(address), `${base(address)}/price-curve`, `${base(address)}/price-history?hours=24`];

export function drawDetail({ address, nodes, letters, house, connection }) {
  const own = nodes.get(house.own)?.store;
  const snapshot = address && isAddress(address) ? own?.get(pathsOf(address)[0]) : undefined;
  const auction = snapshot?.data;
  drawHeading(address, auction, snapshot);
  const isAway = house.awaySince !== null;
  const canAct = house.status?.can_act === true && Boolean(auction);
  show(byId('actions'), canAct);
  for (const id of ['kick', 'sell', 'again']) byId(id).disabled = isAway;
  write(byId('sell'), auction ? `Buy at ${eth(auction.price)}` : 'Buy');
  show(byId('detail-body'), Boolean(auction));
  mark(byId('detail'), 'old', String(isAway || (connection.state !== 'live' && connection.state !== 'connecting')));
  if (!auction) return;
  write(byId('figure-price'), eth(auction.price));
  write(byId('figure-round'), String(auction.rounds));
  write(byId('figure-sales'), auction.sales.toLocaleString('en'));
  write(byId('figure-last'), eth(auction.last_price));
  drawCurve(own.get(pathsOf(address)[1])?.data);
  drawSources(address, nodes, letters);
}

function drawHeading(address, auction, snapshot) {
  write(byId('detail-title'), address ? `Auction ${short(address)}` : 'Auction');
  write(byId('detail-address'), auction?.address ?? address ?? '');
  const unknown = byId('unknown');
  const said = trouble(address, snapshot);
  write(unknown, said ?? '');
  show(unknown, said !== null);
}

function trouble(address, snapshot) {
  if (!address) return null;
  if (!isAddress(address)) return `“${address}” is not the address of a contract: it begins with 0x, and 40 digits follow.`;
  if (snapshot?.state !== 'failed') return snapshot?.data ? null : 'Loading the auction…';
  const { status, message } = snapshot.error;
  if (status === 404) return 'There is no auction at this address. If one is deployed here, this page shows it at once.';
  return `This auction cannot be loaded: ${message}`;
}

/** One row for each answer, and the nodes side by side. */
function drawSources(address, nodes, letters) {
  const names = [...nodes.keys()];
  const heads = ['Answer', ...names.map((name) => (names.length > 1 ? `${letters.get(name)}: ${name}` : name))];
  list(byId('source-heads'), heads, (head) => head, () => element('th', { scope: 'col' }), (_, head, cell) => write(cell, head));
  const rows = pathsOf(address).map((path) => ({ path, cells: names.map((name) => ({ name, snapshot: nodes.get(name).store.get(path) })) }));
  list(byId('sources'), rows, (row) => row.path, makeRow, updateRow);
}

function makeRow({ path }) {
  const made = element('tr', {}, element('th', { scope: 'row' }, answerName(path)));
  made.parts = made;
  return made;
}

function updateRow(row, { cells }) {
  // Its first cell is its name.
  while (row.cells.length <= cells.length) row.append(makeCell());
  while (row.cells.length > cells.length + 1) row.lastElementChild.remove();
  cells.forEach(({ snapshot }, place) => updateCell(row.cells[place + 1].parts, snapshot));
}

function makeCell() {
  const came = element('span', { class: 'came' });
  const time = element('span', { class: 'took' });
  const said = element('span', { class: 'said-there' });
  const made = element('td', {}, came, time, said);
  made.parts = { came, time, said };
  return made;
}

function updateCell({ came, time, said }, snapshot) {
  const { response, data, error, cause } = snapshot ?? {};
  const result = response ? outcome(response.cacheStatus) : { kind: 'none', text: 'Loading…' };
  mark(came, 'kind', error ? 'failed' : result.kind);
  write(came, error ? error.message : result.text + (result.text === 'Purged' ? by(cause) : ''));
  write(time, milliseconds(serverTime(response)));
  write(said, data?.sales === undefined ? '' : `${eth(data.price)}, ${data.sales.toLocaleString('en')} sold`);
}

/** Which event purged it. */
const by = (cause) => (cause.kind === 'update' ? ` by ${happening(cause.update.type).toLowerCase()}` : '');
