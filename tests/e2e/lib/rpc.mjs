// JSON-RPC to the chain, bounded in time.

const PATIENCE_MS = 10_000;
let requests = 0;

export async function rpc(url, method, ...params) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: (requests += 1), method, params }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const { result, error } = await response.json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}

export function hex(number) {
  return `0x${number.toString(16)}`;
}

/** A block's header, with numbers; null if there is none. */
export async function blockAt(url, number) {
  const tag = typeof number === 'number' ? hex(number) : number;
  const block = await rpc(url, 'eth_getBlockByNumber', tag, false);
  return block && { number: Number(block.number), hash: block.hash, parentHash: block.parentHash };
}

/** A log with numbers. */
export function readLog(log) {
  return {
    address: log.address.toLowerCase(),
    topics: log.topics,
    data: log.data,
    blockHash: log.blockHash,
    blockNumber: Number(log.blockNumber),
    blockTimestamp: Number(log.blockTimestamp),
    transactionHash: log.transactionHash,
    transactionIndex: Number(log.transactionIndex),
    logIndex: Number(log.logIndex),
  };
}
