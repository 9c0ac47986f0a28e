// The contracts emit what the configuration's ABIs say, and the price is that which the API computes.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compile } from './contracts.mjs';

const ROOT = new URL('../../../', import.meta.url);
const read = (path) => readFileSync(new URL(path, ROOT), 'utf8');
/** What is not said in an ABI's file says nothing. */
const plain = ({ type, name, indexed, anonymous, inputs }) =>
  JSON.stringify({ type, name, indexed, anonymous, inputs: inputs?.map(plain) });

test('events are those of the ABIs, to the letter', () => {
  const compiled = compile();
  for (const contract of ['Auction', 'AuctionFactory']) {
    const wanted = JSON.parse(read(`examples/deploy/abis/${contract}.json`)).map(plain);
    const events = compiled[contract].abi.filter((item) => item.type === 'event');
    assert.ok(events.length > 0);
    for (const event of events) assert.ok(wanted.includes(plain(event)), `${contract}.${event.name}`);
  }
});

test('contract and API have the same prices', () => {
  const solidity = read('tests/e2e/contracts/Auction.sol');
  const number = (name) => solidity.match(new RegExp(`constant ${name} = ([0-9.]+)( ether)?;`));
  const rust = ['auction', 'tables'].map((file) => read(`examples/auction_house/${file}.rs`)).join('\n');
  for (const name of ['FIRST_PRICE', 'LOWEST_PRICE', 'FALL_SECONDS']) {
    const [, digits, ether] = number(name);
    const there = rust.match(new RegExp(`const ${name}: u\\d+ = ([0-9_]+);`))[1].replaceAll('_', '');
    assert.equal(BigInt(there), ether ? BigInt(Number(digits) * 10) * 10n ** 17n : BigInt(digits), name);
  }
});
