// What the server says of itself, asked every two seconds: who else is there, and whether Redis answers.

const EVERY = 2_000;
const PATIENCE = 1_500;

/** A signal that ends what takes longer; `AbortSignal.timeout` is younger than what this page needs otherwise. */
export function within(milliseconds) {
  const stop = new AbortController();
  setTimeout(() => stop.abort(), milliseconds);
  return stop.signal;
}

export class House {
  #listeners = new Set();
  #timer = null;

  /** Until the server says otherwise, it is the only node. */
  own = location.host;
  nodes = [location.host];
  status = null;
  /** Since when it does not answer, in milliseconds since 1970. */
  awaySince = null;

  constructor() {
    this.look();
  }

  onChange(listener) {
    this.#listeners.add(listener);
  }

  async look() {
    clearTimeout(this.#timer);
    try {
      const answer = await fetch('/page/status', { signal: within(PATIENCE) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      this.#learn(await answer.json());
    } catch {
      this.awaySince ??= Date.now();
    }
    for (const listener of this.#listeners) listener();
    this.#timer = setTimeout(() => this.look(), EVERY);
  }

  #learn(status) {
    this.status = status;
    this.awaySince = null;
    const others = status.nodes.filter((name) => name !== status.node);
    this.nodes = [this.own, ...others];
  }
}
