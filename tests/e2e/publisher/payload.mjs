// The text that rindexer 0.41 writes into the field `payload`, byte for byte; see docs/PUBLISHERS.md. `payload.test.mjs` holds it
// against what rindexer wrote.

const CHUNK_BYTES = 75 * 1024;

/** JSON as serde_json writes a map: keys sorted by their bytes, no spaces. A bigint is a number. */
export function toJson(value) {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const names = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${names.map((name) => `${JSON.stringify(name)}:${toJson(value[name])}`).join(',')}}`;
}

/** An argument of an event. Within a struct even small numbers are text, and bytes keep their 0x. */
function argument({ type, components }, value, nested) {
  if (type.endsWith('[]')) {
    const of = { type: type.slice(0, -2), components };
    return value.map((element) => argument(of, element, components !== undefined));
  }
  if (type === 'tuple') {
    const fields = components.map((field, index) => [
      field.name,
      argument(field, value[index] ?? value[field.name], true),
    ]);
    return Object.fromEntries(fields);
  }
  if (type === 'address') return value.toLowerCase();
  if (type === 'bool' || type === 'string') return value;
  if (type.startsWith('bytes')) return nested ? value : value.slice(2);
  const bits = Number(type.match(/\d+$/)?.[0] ?? 256);
  return bits > 64 || nested ? BigInt(value).toString() : BigInt(value);
}

/** An element of `event_data`. */
export function eventData(abi, log, { network, chainId }) {
  const names = abi.inputs.map((input) => [input.name, argument(input, log.args[input.name], false)]);
  return {
    ...Object.fromEntries(names),
    transaction_information: {
      address: log.address.toLowerCase(),
      block_hash: log.blockHash,
      block_number: BigInt(log.blockNumber),
      block_timestamp: quantity(log.blockTimestamp),
      chain_id: BigInt(chainId),
      log_index: quantity(log.logIndex),
      network,
      transaction_hash: log.transactionHash,
      transaction_index: BigInt(log.transactionIndex),
    },
  };
}

function quantity(number) {
  return `0x${BigInt(number).toString(16)}`;
}

/** Elements of one entry have at most 75 KiB of text together. */
function chunks(elements) {
  const found = [];
  let [current, size] = [[], 0];
  for (const element of elements) {
    const length = Buffer.byteLength(toJson(element));
    if (size + length > CHUNK_BYTES) {
      found.push(current);
      [current, size] = [[], 0];
    }
    current.push(element);
    size += length;
  }
  if (current.length > 0) found.push(current);
  return found;
}

const COMPARISONS = {
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '=': (a, b) => a === b,
};

/** Whether an element passes all conditions, such as `{ amountPaid: '>=5' }`. */
function passes(element, conditions) {
  return conditions.every((condition) =>
    Object.entries(condition).every(([name, wanted]) => {
      const [, operator, number] = wanted.match(/^(>=|<=|>|<|=)(\d+)$/);
      return element[name] !== undefined && COMPARISONS[operator](BigInt(element[name]), BigInt(number));
    }),
  );
}

/** The payloads that the logs of one event in one block, found by asking for blocks `from` to `to`, become on one stream. */
export function payloads(config, event, target, logs, from, to) {
  const elements = logs.map((log) => eventData(event.abi, log, config));
  const block = BigInt(logs[0].blockNumber);
  const id = target.finalized
    ? `finalized_redis_${target.index}_${config.network}_blk${block}`
    : `${event.contract}-${event.name}-${config.network}-${from}-${to}-blk${block}`;
  return chunks(elements).map((chunk, index) =>
    toJson({
      block_number: block,
      event_data: chunk.filter((element) => passes(element, target.conditions)),
      event_name: target.alias,
      event_signature_hash: event.topic,
      message_id: messageId(id, index),
      network: config.network,
    }),
  );
}

function messageId(id, chunk) {
  return `rindexer_stream__-${id.toLowerCase()}-chunk-${chunk}`;
}

/** The notice of a reorg: each stream of the network gets it once for each event of its contract. */
export function reorgNotice(config, { fork, depth, deleted, hashes }) {
  const data = {
    affected_events: config.events.map((event) => affected(config.indexer, event)),
    affected_tx_hashes: hashes,
    depth: BigInt(depth),
    events_deleted: BigInt(deleted),
    fork_block: BigInt(fork),
    network: config.network,
    type: 'reorg',
  };
  return toJson({
    block_number: 0n,
    event_data: [data],
    event_name: '__rindexer_reorg',
    event_signature_hash: `0x${'0'.repeat(64)}`,
    message_id: messageId(`reorg_${config.network}_${fork}`, 0),
    network: config.network,
  });
}

/** A table that a reorg may touch. */
function affected(indexer, { contract, name, schema, table }) {
  return { contract, event: name, indexer, rows_deleted: 0n, schema, table };
}
