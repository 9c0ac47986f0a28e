// Reads a rindexer.yaml with its ABIs, as far as this publisher goes: what to follow, and what to write where.

import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { keccak256, stringToBytes, toEventSelector } from 'viem';
import { parse } from 'yaml';

/** AuctionRoundKicked -> auction_round_kicked, as rindexer names schemas, tables and columns. */
export function snakeCase(name) {
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, '_').toLowerCase();
}

/** A table's name as long as PostgreSQL lets it be, as rindexer shortens it. */
function shortened(name) {
  return name.length > 63 ? `${name.slice(0, 52)}_${keccak256(stringToBytes(name)).slice(2, 12)}` : name;
}

/**
 * `file` is the configuration, `variables` what stands for `${NAME}` in it, and `abis` the directory of the ABIs, if it is not
 * where the configuration says.
 */
export function readConfig(file, variables = {}, abis = undefined) {
  const text = readFileSync(file, 'utf8').replace(/\$\{([^}]+)\}/g, (_, name) => {
    if (!(name in variables)) throw new Error(`${file} needs the variable ${name}`);
    return variables[name];
  });
  // All of it as text: an address is no number.
  const yaml = parse(text, { schema: 'failsafe' });
  const network = yaml.networks[0];
  const read = (path) => JSON.parse(readFileSync(abis ? join(abis, basename(path)) : join(dirname(file), path), 'utf8'));
  const contracts = yaml.contracts.flatMap((contract) => {
    const { factory } = contract.details[0];
    const own = readContract(yaml.name, contract, read(contract.abi));
    return factory ? [factoryOf(yaml.name, contract, read(factory.abi)), own] : [own];
  });
  return {
    indexer: yaml.name,
    network: network.name,
    chainId: Number(network.chain_id),
    rpc: network.rpc,
    window: network.reorg_handling?.enabled === 'true' ? Number(network.reorg_handling.window_size ?? 64) : 0,
    contracts,
    events: contracts.flatMap((contract) => contract.events),
  };
}

/** Where auctions are found: one more contract to rindexer, named by the factory, its event and the argument. */
function factoryOf(indexer, { details: [details] }, abi) {
  const { factory, ...where } = details;
  const input = factory.input_name[0].toUpperCase() + factory.input_name.slice(1);
  const contract = {
    name: factory.name + factory.event_name + input,
    details: [{ ...where, address: factory.address }],
    include_events: [factory.event_name],
  };
  const made = readContract(indexer, contract, abi);
  const [event] = made.events;
  const table = shortened(`${event.schema}_${event.table}_${snakeCase(factory.input_name)}`);
  event.finds = { input: factory.input_name, factory: factory.address.toLowerCase(), table };
  return made;
}

function readContract(indexer, contract, abi) {
  const [details] = contract.details;
  const schema = `${snakeCase(indexer)}_${snakeCase(contract.name)}`;
  const streams = contract.streams?.redis?.streams ?? [];
  const events = contract.include_events.map((name) => {
    const item = abi.find((item) => item.type === 'event' && item.name === name);
    if (!item) throw new Error(`no event ${name} in the ABI of ${contract.name}`);
    return {
      contract: contract.name,
      name,
      abi: item,
      topic: toEventSelector(item),
      schema,
      table: snakeCase(name),
      checkpoint: shortened(`${schema}_${snakeCase(name)}`),
      startBlock: Number(details.start_block ?? 0),
      // Whose logs; those of all auctions that are known, if there is none.
      address: details.factory ? undefined : [details.address].flat().map((address) => address.toLowerCase()),
      targets: streams.flatMap((stream, index) => {
        const wanted = stream.events.find((event) => event.event_name === name);
        return wanted ? [targetOf(stream, index, wanted)] : [];
      }),
    };
  });
  return { name: contract.name, events, streams: streams.map((stream) => stream.stream_name) };
}

function targetOf(stream, index, wanted) {
  return {
    stream: stream.stream_name,
    // Its place among the streams of the contract: in the ids of entries that wait for finality.
    index,
    alias: wanted.alias ?? wanted.event_name,
    conditions: wanted.conditions ?? [],
    finalized: stream.delivery === 'finalized',
  };
}
