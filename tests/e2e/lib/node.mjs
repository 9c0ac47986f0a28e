// One node of the auction house: what it answers, and what it tells.

const PATIENCE_MS = 10_000;

export class Node {
  /** Updates in the order in which they were told: `{ at, event, message }`. */
  told = [];
  #listeners = [];
  #ended = new AbortController();

  constructor(name, url) {
    this.name = name;
    this.url = url;
  }

  /** An answer: `{ status, body, hit, purged, age, at }`. */
  async get(path) {
    const response = await fetch(this.url + path, { signal: AbortSignal.timeout(PATIENCE_MS) });
    const text = await response.text();
    const cacheStatus = response.headers.get('cache-status') ?? '';
    return {
      status: response.status,
      body: response.headers.get('content-type')?.startsWith('application/json') ? JSON.parse(text) : text,
      hit: /;\s*hit\b/.test(cacheStatus),
      purged: /detail="?purged\b/.test(cacheStatus),
      age: Number(response.headers.get('age') ?? 0),
      at: Date.now(),
    };
  }

  async json(path) {
    const { status, body } = await this.get(path);
    if (status !== 200) throw new Error(`${this.name} ${path}: ${status} ${body}`);
    return body;
  }

  /** Calls `listener` for each update that is told from now on. */
  onTold(listener) {
    this.#listeners.push(listener);
  }

  /** Listens at `path`, until `close`. Resolves when connected. */
  async listen(path) {
    const signal = this.#ended.signal;
    const response = await fetch(this.url + path, { signal });
    if (response.status !== 200) throw new Error(`${this.name} ${path}: ${response.status}`);
    this.#follow(response.body).catch((error) => {
      if (!signal.aborted) this.#tell('lost', { reason: error.message });
    });
  }

  async #follow(body) {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const bytes of body) {
      rest += decoder.decode(bytes, { stream: true });
      const events = rest.split('\n\n');
      rest = events.pop();
      for (const event of events) {
        const lines = event.split('\n').map((line) => line.match(/^(\w+): ?(.*)$/)).filter(Boolean);
        const fields = Object.fromEntries(lines.map(([, name, value]) => [name, value]));
        if (fields.data) this.#tell(fields.event, JSON.parse(fields.data));
      }
    }
    this.#tell('lost', { reason: 'the node ended it' });
  }

  #tell(event, message) {
    const told = { at: Date.now(), event, message };
    this.told.push(told);
    for (const listener of this.#listeners) listener(told);
  }

  close() {
    this.#ended.abort();
  }
}

/** What an update says of an event of the chain; `updateOf` is the same from the chain's side, and has the block. */
export function saidBy({ type, subject, data }) {
  return {
    type,
    auction: subject.replace(/^auction:/, ''),
    hash: data.tx_hash,
    amount: data.amount ?? null,
    price: data.price ?? null,
  };
}
