/** A server-sent stream whose server is the test. */
export class FakeEventSource extends EventTarget {
  static CLOSED = 2;
  CLOSED = 2;
  /** @type {FakeEventSource[]} */
  static all = [];
  readyState = 0;
  onopen = null;
  onerror = null;

  constructor(url) {
    super();
    this.url = String(url);
    FakeEventSource.all.push(this);
  }

  static get last() {
    return FakeEventSource.all.at(-1);
  }

  static get open() {
    return FakeEventSource.all.filter((one) => one.readyState !== 2);
  }

  get query() {
    return decodeURIComponent(new URL(this.url).search.slice(1));
  }

  close() {
    this.readyState = 2;
  }

  accept(position) {
    this.readyState = 1;
    this.onopen?.({});
    if (position !== undefined) this.position(position);
    return this;
  }

  say(name, data, lastEventId = '') {
    this.dispatchEvent(new MessageEvent(name, { data, lastEventId }));
  }

  position(id) {
    this.say('position', '', id);
  }

  update(id, fields = {}) {
    const update = { id, type: 'sale', subject: 'auction:1', time: 1, data: {}, ...fields };
    this.say(update.type === 'alert' ? 'alert' : 'auction_update', JSON.stringify(update), id);
  }

  resync(id, reason = 'records were missed') {
    this.say('resync', JSON.stringify({ type: 'resync', id, reason }), id ?? '');
  }

  end(reason) {
    this.say('end', JSON.stringify({ type: 'end', reason }));
  }

  break() {
    this.onerror?.({});
  }
}

/** A WebSocket whose server is the test. */
export class FakeWebSocket {
  static OPEN = 1;
  OPEN = 1;
  /** @type {FakeWebSocket[]} */
  static all = [];
  readyState = 0;
  sent = [];
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;

  constructor(url) {
    this.url = String(url);
    FakeWebSocket.all.push(this);
  }

  static get last() {
    return FakeWebSocket.all.at(-1);
  }

  get query() {
    return decodeURIComponent(new URL(this.url).search.slice(1));
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
  }

  accept(id = null) {
    this.readyState = 1;
    this.onopen?.({});
    this.say({ op: 'subscribed', name: '', id });
    return this;
  }

  say(json) {
    this.onmessage?.({ data: JSON.stringify(json) });
  }

  update(id, fields = {}) {
    this.say({ id, type: 'sale', subject: 'auction:1', time: 1, data: {}, ...fields });
  }

  end(code, reason) {
    this.readyState = 3;
    if (code === 1006) this.onerror?.({});
    this.onclose?.({ code, reason });
  }
}
