// The chain as its contracts and logs tell it: what everything else is compared with.

import { decodeEventLog, decodeFunctionResult, encodeDeployData, encodeFunctionData } from 'viem';
import { compile } from './contracts.mjs';
import { hex, readLog, rpc } from './rpc.mjs';

const GAS = hex(15_000_000);
const TOKENS = ['0xdead00000000000000000000000000000000beef', '0x00000000000000000000000000000000000abcde'];

export class Chain {
  constructor(url) {
    this.url = url;
    this.contracts = compile();
    /** When each block was there, by number, in milliseconds; only of those that the test made one by one. */
    this.minedAt = new Map();
    /** The blocks of transactions, as far as they are known. */
    this.blocks = new Map();
  }

  async connect() {
    this.accounts = await rpc(this.url, 'eth_accounts');
  }

  async deployFactory() {
    const data = encodeDeployData(this.contracts.AuctionFactory);
    const { receipts, number } = await this.mine([{ data }]);
    this.factory = receipts[0].contractAddress.toLowerCase();
    this.startBlock = number;
  }

  /** Calls that can be put into a block. */
  deploy(index) {
    return this.call('AuctionFactory', this.factory, 'createNewAuction', [TOKENS[index % 2]]);
  }

  kick(auction, available) {
    return this.call('Auction', auction, 'kick', [TOKENS[0], available]);
  }

  take(auction, amount, taker = 1) {
    return this.call('Auction', auction, 'take', [amount, 10n ** 19n], taker);
  }

  takeMany(auction, count, amount) {
    return this.call('Auction', auction, 'takeMany', [count, amount, 10n ** 19n], 2);
  }

  kickAndTake(auction, available, amount) {
    return this.call('Auction', auction, 'kickAndTake', [TOKENS[1], available, amount, 10n ** 19n], 3);
  }

  call(contract, to, functionName, args, from = 0) {
    const { abi } = this.contracts[contract];
    return { to, data: encodeFunctionData({ abi, functionName, args }), from: this.accounts[from] };
  }

  /** One block with these calls. */
  async mine(calls) {
    const hashes = [];
    for (const call of calls) {
      const from = call.from ?? this.accounts[0];
      hashes.push(await rpc(this.url, 'eth_sendTransaction', { from, gas: GAS, ...call }));
    }
    await rpc(this.url, 'evm_mine');
    const at = Date.now();
    const receipts = await Promise.all(hashes.map((hash) => rpc(this.url, 'eth_getTransactionReceipt', hash)));
    for (const receipt of receipts) {
      if (receipt?.status !== '0x1') throw new Error(`a call of the test failed: ${JSON.stringify(receipt)}`);
    }
    const number = Number(receipts[0]?.blockNumber ?? (await rpc(this.url, 'eth_blockNumber')));
    this.minedAt.set(number, at);
    for (const hash of hashes) this.blocks.set(hash, number);
    return { number, receipts };
  }

  /** Replaces the last `depth` blocks by as many, the first of which has `calls`. */
  async reorganise(depth, calls) {
    const pairs = calls.map((call) => [{ from: this.accounts[0], gas: GAS, ...call }, 0]);
    await rpc(this.url, 'anvil_reorg', depth, pairs);
    for (const { transactionHash, blockNumber } of await this.logs()) this.blocks.set(transactionHash, blockNumber);
  }

  /**
   * What an auction's contract says, as of a block. Asked of the newest one while the next is being made, anvil may answer as
   * of that: it is asked again then.
   */
  async state(auction, block = 'latest') {
    const { abi } = this.contracts.Auction;
    const call = { to: auction, data: encodeFunctionData({ abi, functionName: 'state' }) };
    const tag = typeof block === 'number' ? hex(block) : block;
    for (let tries = 0; tries < 100; tries += 1) {
      const data = await rpc(this.url, 'eth_call', call, tag);
      const [rounds, sales, lastPrice, lastBlock, price] = decodeFunctionResult({ abi, functionName: 'state', data });
      if (block !== 'latest' && lastBlock > block) continue;
      return { rounds: Number(rounds), sales: Number(sales), lastPrice, lastBlock: Number(lastBlock), price };
    }
    throw new Error(`no state of ${auction} at block ${block}`);
  }

  /** First and lowest price, the seconds between them, and when the present round was kicked. */
  async constants(auction) {
    const { abi } = this.contracts.Auction;
    const names = ['FIRST_PRICE', 'LOWEST_PRICE', 'FALL_SECONDS', 'kickedAt'];
    return Promise.all(
      names.map(async (functionName) => {
        const call = { to: auction, data: encodeFunctionData({ abi, functionName }) };
        const data = await rpc(this.url, 'eth_call', call, 'latest');
        return decodeFunctionResult({ abi, functionName, data });
      }),
    );
  }

  /** All events of the contracts, oldest first. */
  async logs() {
    const abi = Object.values(this.contracts).flatMap((contract) => contract.abi);
    const found = await rpc(this.url, 'eth_getLogs', { fromBlock: '0x0', toBlock: 'latest' });
    return found.map(readLog).map((log) => ({ ...log, ...decodeEventLog({ abi, ...log }) }));
  }

  /** Those that people are told of, as `updateOf` says them. */
  async updates() {
    return (await this.logs()).filter((log) => log.eventName !== 'DeployedNewAuction').map(updateOf);
  }

  async auctions() {
    const logs = await this.logs();
    return logs.filter((log) => log.eventName === 'DeployedNewAuction').map((log) => log.args.auction.toLowerCase());
  }
}

/** What people are told of an event of the chain. */
function updateOf(log) {
  const sale = log.eventName === 'AuctionSale';
  return {
    type: sale ? 'sale' : 'kick',
    auction: log.address,
    hash: log.transactionHash,
    block: log.blockNumber,
    amount: sale ? log.args.amountPaid.toString() : null,
    price: sale ? log.args.price.toString() : null,
  };
}
