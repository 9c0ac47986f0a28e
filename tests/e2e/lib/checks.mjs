// At a moment when nothing is under way: everything that is told is what the chain says.

import { saidBy } from './node.mjs';
import { percentile } from './watch.mjs';

const PRICES = 100;
const POINTS = 200;
const FIRST_PRICE = '2000000000000000000';
const FEED = 1000;
const BIG_SALE = 10n ** 19n;
/** How far the clock of an answer may be off: whole seconds, there and here. */
const CLOCK_SECONDS = 2;

/** Sorted and as text, so that two lists are equal if each element is as often in one as in the other. */
const bag = (list) => list.map((element) => JSON.stringify(element)).sort();

export function difference(name, found, wanted) {
  const [left, right] = [bag(found), bag(wanted)];
  const counted = (list, text) => list.filter((other) => other === text).length;
  const more = (here, there) => [...new Set(here)].filter((text) => counted(here, text) > counted(there, text));
  return [
    ...more(left, right).map((text) => `${name}: too often ${text}`),
    ...more(right, left).map((text) => `${name}: missing ${text}`),
  ];
}

/** Lists, details and price histories of all nodes. */
export async function apiIsChain(chain, nodes) {
  const wrong = [];
  const auctions = await chain.auctions();
  const logs = await chain.logs();
  for (const node of nodes) {
    const list = await node.json('/auctions?limit=100');
    const listed = list.auctions.map((auction) => auction.address);
    wrong.push(...difference(`${node.name} /auctions`, listed, auctions));
    for (const auction of auctions) {
      const state = await chain.state(auction);
      const { body, age, at } = await node.get(`/auctions/${auction}`);
      const wanted = {
        address: auction,
        chain_id: 1,
        status: state.rounds > 0 ? 'active' : 'inactive',
        rounds: state.rounds,
        sales: state.sales,
        last_price: state.sales > 0 ? state.lastPrice.toString() : null,
        last_block: state.lastBlock,
      };
      const shown = list.auctions.find((shown) => shown.address === auction) ?? {};
      for (const [name, value] of Object.entries(wanted)) {
        if (body[name] !== value) wrong.push(`${node.name} ${auction} ${name}: ${body[name]}, not ${value}`);
        if (shown[name] !== value) wrong.push(`${node.name} /auctions ${auction} ${name}: ${shown[name]}, not ${value}`);
      }
      wrong.push(...(await priceIsChain(chain, node, auction, state, { body, age, at })));
      const history = await node.json(`/auctions/${auction}/price-history`);
      const sales = logs.filter((log) => log.eventName === 'AuctionSale' && log.address === auction);
      const prices = sales.slice(-PRICES).map((log) => ({
        block: log.blockNumber,
        price: log.args.price.toString(),
        timestamp: Number(log.args.timestamp),
      }));
      wrong.push(...difference(`${node.name} ${auction}/price-history`, history.prices, prices));
      const curve = await node.json(`/auctions/${auction}/price-curve`);
      const told = curve.points.map(({ price, kind }) => ({ price, kind }));
      wrong.push(...difference(`${node.name} ${auction}/price-curve`, told, curveOf(logs, auction, state.rounds)));
    }
  }
  return wrong;
}

/** The kick and the sales of a round. */
function curveOf(logs, auction, round) {
  const own = logs.filter((log) => log.address === auction && Number(log.args.roundId) === round);
  const points = own.map(({ eventName, args }) =>
    eventName === 'AuctionSale' ? { price: args.price.toString(), kind: 'sale' } : { price: FIRST_PRICE, kind: 'kick' },
  );
  return points.slice(-POINTS);
}

/** A price falls while a response is kept, so it is that of the contract `age` ago. */
async function priceIsChain(chain, node, auction, state, { body, age, at: answered }) {
  if (state.rounds === 0) return body.price === '0' ? [] : [`${node.name} ${auction}: a price before the first round`];
  const price = BigInt(body.price);
  const [first, lowest, fall, kicked] = await chain.constants(auction);
  const at = (seconds) => {
    const passed = BigInt(Math.max(0, Math.min(Number(fall), Math.round(seconds) - Number(kicked))));
    return first - ((first - lowest) * passed) / fall;
  };
  const then = answered / 1000 - age;
  if (price <= at(then - CLOCK_SECONDS) && price >= at(then + CLOCK_SECONDS)) return [];
  return [`${node.name} ${auction}: the price is ${price}, by the contract ${at(then)}`];
}

/** Each event of the chain is in the feed once, and nothing else is. */
export async function feedIsChain(chain, nodes) {
  const wrong = [];
  const events = await chain.updates();
  const auctions = await chain.auctions();
  for (const node of nodes) {
    const entries = await feed(node, '?limit=1000&type=sale,kick');
    wrong.push(...difference(`${node.name} /activity`, entries, events.slice(-FEED)));
    for (const auction of auctions) {
      const own = await feed(node, `?limit=1000&type=sale,kick&auction=${auction}`);
      const wanted = events.filter((event) => event.auction === auction);
      wrong.push(...difference(`${node.name} /activity of ${auction}`, own, wanted.slice(-PRICES)));
    }
    const { rows } = await node.json('/analytics?by=subject&type=sale,kick');
    const counted = rows.map(({ type, subject, count, sums }) => ({
      type,
      auction: subject.replace('auction:', ''),
      count,
      amount: sums.amount ?? null,
    }));
    wrong.push(...difference(`${node.name} /analytics`, counted, sums(events, auctions)));
  }
  return wrong;
}

export async function feed(node, query) {
  const { entries } = await node.json(`/activity${query}`);
  return entries.map((entry) => ({
    type: entry.type,
    auction: entry.auction_address,
    hash: entry.tx_hash,
    block: entry.block,
    amount: entry.amount,
    price: entry.price,
  }));
}

function sums(events, auctions) {
  return auctions.flatMap((auction) =>
    ['sale', 'kick'].flatMap((type) => {
      const own = events.filter((event) => event.auction === auction && event.type === type);
      const amount = own.reduce((sum, event) => sum + BigInt(event.amount ?? 0), 0n);
      return own.length === 0 ? [] : [{ type, auction, count: own.length, amount: type === 'sale' ? String(amount) : null }];
    }),
  );
}

/** Everything that was told came once at each node; `events` are those of the chain, and those that were undone. */
export function toldOnce(nodes, events) {
  const wanted = events.map(({ block, ...event }) => event);
  return nodes.flatMap((node) => {
    const updates = node.told.filter(({ message }) => ['sale', 'kick'].includes(message.type));
    return difference(`${node.name} /events`, updates.map(({ message }) => saidBy(message)), wanted);
  });
}

/** What the example's rule of alerts is about. */
export function isBig({ type, amount }) {
  return type === 'sale' && BigInt(amount) >= BIG_SALE;
}

/** The rule's alerts, exactly. */
export function alertsAre(listeners, events) {
  const wanted = events.filter(isBig).map(({ auction, hash, amount }) => ({ rule: 'big-sale', auction, hash, amount }));
  return listeners.flatMap((node) => {
    const alerts = node.told.filter(({ message }) => message.type === 'alert');
    const said = alerts.map(({ message: { data } }) => ({
      rule: data.rule,
      auction: data.subject.replace('auction:', ''),
      hash: data.tx_hash,
      amount: data.amount,
    }));
    return difference(`${node.name} /events/alerts`, said, wanted);
  });
}

/** How long people waited for a fresh answer, and for what. */
export async function delays(watch, indexer) {
  const publishedAt = new Map();
  for (const { at, payload } of await indexer.published()) {
    for (const { transaction_information: source } of payload.event_data) {
      const known = source && publishedAt.get(source.transaction_hash);
      if (source && (known === undefined || at < known)) publishedAt.set(source.transaction_hash, at);
    }
  }
  const calm = watch.delays.filter(({ mined }) => !indexer.isAway(mined));
  const lines = [
    ['block → fresh answer', ({ mined, fresh }) => fresh - mined],
    ['  block → stream: the indexer asks for new blocks', ({ mined, hash }) => publishedAt.get(hash) - mined],
    ['  stream → told', ({ told, hash }) => told - publishedAt.get(hash)],
    ['  told → answer', ({ told, fresh }) => fresh - told],
  ].map(([name, of]) => {
    const values = calm.map(of);
    return `${name.padEnd(52)} p50 ${percentile(values, 0.5)} ms, p90 ${percentile(values, 0.9)} ms`;
  });
  return [`of ${calm.length} updates, those apart that were mined while the indexer was down:`, ...lines];
}
