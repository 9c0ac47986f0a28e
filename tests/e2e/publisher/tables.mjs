// rindexer's tables in PostgreSQL: the same schemas, tables, columns and types, for what the configuration follows.

import pg from 'pg';
import { snakeCase } from './config.mjs';

const INTERNAL = 'rindexer_internal';

function columnType(type) {
  if (type === 'address') return 'CHAR(42)';
  if (type === 'bool') return 'BOOLEAN';
  if (type === 'string') return 'TEXT';
  const bits = Number(type.match(/^u?int(\d+)$/)?.[1]);
  if (bits <= 16) return 'SMALLINT';
  if (bits <= 32) return 'INTEGER';
  if (bits <= 128) return 'NUMERIC';
  if (bits <= 256) return 'VARCHAR(78)';
  throw new Error(`no column for ${type}`);
}

function eventTable(event) {
  const columns = event.abi.inputs.map(({ name, type }) => `"${snakeCase(name)}" ${columnType(type)}`);
  return `
    CREATE SCHEMA IF NOT EXISTS ${event.schema};
    CREATE TABLE IF NOT EXISTS ${event.schema}.${event.table} (
      rindexer_id SERIAL PRIMARY KEY NOT NULL, contract_address CHAR(42) NOT NULL, ${columns.join(', ')},
      tx_hash CHAR(66) NOT NULL, block_number NUMERIC NOT NULL, block_timestamp TIMESTAMPTZ, block_hash CHAR(66) NOT NULL,
      network VARCHAR(50) NOT NULL, tx_index NUMERIC NOT NULL, log_index VARCHAR(78) NOT NULL);
    CREATE TABLE IF NOT EXISTS ${INTERNAL}.${event.checkpoint} ("network" TEXT PRIMARY KEY, "last_synced_block" NUMERIC);`;
}

function foundTable(name) {
  return `
    CREATE TABLE IF NOT EXISTS ${INTERNAL}.${name} (
      "factory_address" CHAR(42), "factory_deployed_address" CHAR(42), "network" TEXT,
      PRIMARY KEY ("factory_address", "factory_deployed_address", "network"));`;
}

export class Tables {
  #client;
  #config;
  #found;

  static async open(url, config) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const tables = new Tables();
    tables.#client = client;
    tables.#config = config;
    tables.#found = config.events.find((event) => event.finds)?.finds.table;
    await client.query(`
      CREATE SCHEMA IF NOT EXISTS ${INTERNAL};
      CREATE TABLE IF NOT EXISTS ${INTERNAL}.reorg_block_hashes (
        network TEXT NOT NULL, block_number BIGINT NOT NULL, block_hash CHAR(66) NOT NULL, parent_hash CHAR(66) NOT NULL,
        PRIMARY KEY (network, block_number));
      ${config.events.map(eventTable).join('')}
      ${tables.#found ? foundTable(tables.#found) : ''}`);
    for (const event of config.events) {
      const insert = `INSERT INTO ${INTERNAL}.${event.checkpoint} VALUES ($1, 0) ON CONFLICT DO NOTHING`;
      await client.query(insert, [config.network]);
    }
    return tables;
  }

  /** Up to which block the event has been read. */
  async checkpoint(event) {
    const query = `SELECT last_synced_block FROM ${INTERNAL}.${event.checkpoint} WHERE network = $1`;
    const { rows } = await this.#client.query(query, [this.#config.network]);
    return Number(rows[0].last_synced_block);
  }

  async setCheckpoint(event, block) {
    const query = `UPDATE ${INTERNAL}.${event.checkpoint} SET last_synced_block = $1
      WHERE network = $2 AND $1 > last_synced_block`;
    await this.#client.query(query, [block, this.#config.network]);
  }

  /** Adds a row for each log, also if it is there already: so does rindexer. */
  async insert(event, logs) {
    const { network } = this.#config;
    const names = event.abi.inputs.map((input) => `"${snakeCase(input.name)}"`);
    const rows = logs.map((log) => [
      log.address,
      ...event.abi.inputs.map(({ name, type }) => cell(type, log.args[name])),
      log.transactionHash,
      log.blockNumber,
      new Date(log.blockTimestamp * 1000),
      log.blockHash,
      network,
      log.transactionIndex,
      String(log.logIndex),
    ]);
    let place = 0;
    const values = rows.map((row) => `(${row.map(() => `$${(place += 1)}`).join(', ')})`);
    await this.#client.query(
      `INSERT INTO ${event.schema}.${event.table} (contract_address, ${names.join(', ')}, tx_hash, block_number,
        block_timestamp, block_hash, network, tx_index, log_index) VALUES ${values.join(', ')}`,
      rows.flat(),
    );
  }

  async knownAuctions() {
    const query = `SELECT factory_deployed_address AS address FROM ${INTERNAL}.${this.#found} WHERE network = $1`;
    const { rows } = await this.#client.query(query, [this.#config.network]);
    return rows.map((row) => row.address);
  }

  async learnAuction(factory, address) {
    const query = `INSERT INTO ${INTERNAL}.${this.#found} VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`;
    await this.#client.query(query, [factory, address, this.#config.network]);
  }

  /** The blocks that were seen last, as `[number, hash]`. */
  async window() {
    const query = `SELECT block_number, block_hash FROM ${INTERNAL}.reorg_block_hashes WHERE network = $1
      ORDER BY block_number DESC LIMIT $2`;
    const { rows } = await this.#client.query(query, [this.#config.network, this.#config.window]);
    return rows.map((row) => [Number(row.block_number), row.block_hash]).reverse();
  }

  async remember(block) {
    await this.#client.query(
      `INSERT INTO ${INTERNAL}.reorg_block_hashes VALUES ($1, $2, $3, $4) ON CONFLICT (network, block_number)
        DO UPDATE SET block_hash = EXCLUDED.block_hash, parent_hash = EXCLUDED.parent_hash`,
      [this.#config.network, block.number, block.hash, block.parentHash],
    );
  }

  /** Undoes the blocks `fork` to `last`, and says which rows went and of which transactions they were. */
  async rollback(fork, last) {
    const range = [this.#config.network, fork, last];
    const hashes = [];
    await this.#client.query('BEGIN');
    for (const event of this.#config.events) {
      const { rows } = await this.#client.query(
        `DELETE FROM ${event.schema}.${event.table} WHERE network = $1 AND block_number BETWEEN $2 AND $3 RETURNING tx_hash`,
        range,
      );
      hashes.push(...rows.map((row) => row.tx_hash));
    }
    await this.#client.query(
      `DELETE FROM ${INTERNAL}.reorg_block_hashes WHERE network = $1 AND block_number BETWEEN $2 AND $3`,
      range,
    );
    for (const event of this.#config.events) {
      const rewind = `UPDATE ${INTERNAL}.${event.checkpoint} SET last_synced_block = $1 WHERE network = $2`;
      await this.#client.query(rewind, [fork - 1, this.#config.network]);
    }
    await this.#client.query('COMMIT');
    return { deleted: hashes.length, hashes: [...new Set(hashes)].sort() };
  }
}

function cell(type, value) {
  if (type === 'address') return value.toLowerCase();
  return typeof value === 'bigint' ? value.toString() : value;
}
