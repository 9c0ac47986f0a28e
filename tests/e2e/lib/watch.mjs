// Whether answers keep up with what was told: readers that never rest, and two nodes asked anew after each update.

import { getAddress } from 'viem';
import { saidBy } from './node.mjs';
import { until } from './servers.mjs';

const READERS_PER_NODE = 3;
const REST_MS = 5;

export class Watch {
  stale = [];
  answers = 0;
  hits = 0;
  rechecked = 0;
  /** `{ mined, told, fresh, block, hash }` of each update at each node, in milliseconds. */
  delays = [];
  /** What each auction is known to have come to, from what was told: `{ rounds, sales, lastBlock }`. */
  #floors = new Map();
  #pending = new Set();
  #reading = false;
  #resting = false;
  #readers = [];

  constructor(chain, nodes) {
    this.chain = chain;
    this.nodes = nodes;
    for (const node of nodes) {
      node.onTold((told) => {
        if (this.#resting || !['sale', 'kick'].includes(told.message.type)) return;
        const check = this.#recheck(node, told).catch((error) => this.stale.push(error.message));
        this.#pending.add(check);
        check.finally(() => this.#pending.delete(check));
      });
    }
  }

  /** Starts the readers. */
  start(auctions) {
    this.#reading = true;
    this.auctions = auctions;
    this.#readers = this.nodes.flatMap((node) => Array.from({ length: READERS_PER_NODE }, () => this.#read(node)));
  }

  async stop() {
    this.#reading = false;
    await Promise.all(this.#readers);
    await this.settled();
  }

  async settled() {
    await until('the answers after the last update', () => this.#pending.size === 0);
  }

  /** Asks nothing more: others look at what answers come from. */
  rest() {
    this.#resting = true;
  }

  async #read(node) {
    for (let turn = 0; this.#reading; turn += 1) {
      const auction = this.auctions[Math.floor(Math.random() * this.auctions.length)];
      try {
        await this.#ask(node, auction, turn % 3, this.#floors.get(auction));
      } catch (error) {
        this.stale.push(`${node.name}: ${error.message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
    }
  }

  /** One of the three answers that tell of an auction, held against what it has to show at least. */
  async #ask(node, auction, which, floor) {
    // Addresses are one, in whatever case they are written.
    const address = Math.random() < 0.5 ? auction : getAddress(auction);
    const path = ['/auctions?limit=100', `/auctions/${address}`, `/auctions/${address}/price-history`][which];
    const { status, body, hit } = await node.get(path);
    this.answers += 1;
    this.hits += hit ? 1 : 0;
    // Nobody was told of it yet.
    if (!floor) return;
    const complain = (what) => this.stale.push(`${node.name} ${path}: ${what}, floor ${JSON.stringify(floor)}`);
    if (status !== 200) return complain(`status ${status}`);
    if (which === 2) {
      const last = body.prices.at(-1)?.block ?? 0;
      if (last < (floor.saleBlock ?? 0)) complain(`the last sale is of block ${last}`);
      return;
    }
    const shown = which === 1 ? body : body.auctions.find((shown) => shown.address === auction);
    if (!shown) return complain('the auction is missing');
    const { rounds, sales, last_block: lastBlock } = shown;
    if (rounds < floor.rounds || sales < floor.sales || lastBlock < floor.lastBlock) {
      complain(`shows ${JSON.stringify({ rounds, sales, lastBlock })}`);
    }
  }

  /** A node told of an event: from now on both have to show it. */
  async #recheck(node, { at, message }) {
    const said = saidBy(message);
    const { auction, hash, type } = said;
    await until(`the block of ${hash}`, () => this.chain.blocks.has(hash));
    const block = this.chain.blocks.get(hash);
    const { rounds, sales } = await this.chain.state(auction, block);
    const floor = { rounds: 0, sales: 0, lastBlock: 0, saleBlock: 0, ...this.#floors.get(auction) };
    floor.lastBlock = Math.max(floor.lastBlock, block);
    // Kicks and sales are read independently of each other, so an update speaks for its own kind.
    if (type === 'kick') floor.rounds = Math.max(floor.rounds, rounds);
    if (type === 'sale') {
      floor.sales = Math.max(floor.sales, sales);
      floor.saleBlock = Math.max(floor.saleBlock, block);
    }
    this.#floors.set(auction, floor);
    const mined = this.chain.minedAt.get(block);
    const asked = this.nodes.map(async (other) => {
      await this.#ask(other, auction, 1, floor);
      if (other === node && mined) this.delays.push({ mined, told: at, fresh: Date.now(), block, hash });
      await this.#ask(other, auction, 2, floor);
      await this.#ask(other, auction, 0, floor);
    });
    await Promise.all(asked);
    this.rechecked += 1;
  }
}

export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
