// The contracts, compiled.

import { readFileSync } from 'node:fs';
import solc from 'solc';

const DIRECTORY = new URL('../contracts/', import.meta.url);
const NAMES = ['Auction', 'AuctionFactory'];

/** `{ Auction: { abi, bytecode }, AuctionFactory: … }` */
export function compile() {
  const sources = NAMES.map((name) => [
    `${name}.sol`,
    { content: readFileSync(new URL(`${name}.sol`, DIRECTORY), 'utf8') },
  ]);
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries(sources),
    settings: { outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } } },
  };
  const { errors = [], contracts } = JSON.parse(solc.compile(JSON.stringify(input)));
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join('\n'));
  const compiled = NAMES.map((name) => {
    const { abi, evm } = contracts[`${name}.sol`][name];
    return [name, { abi, bytecode: `0x${evm.bytecode.object}` }];
  });
  return Object.fromEntries(compiled);
}
