// A house where very much happens: the real one, but for its updates, of which there are as many as the test wants.

import { createServer, request } from 'node:http';
import { once } from 'node:events';

export class Crowd {
  asked = 0;
  #streams = new Set();
  #ordinal = 1;

  /** Before `house`. */
  static async open(house) {
    const crowd = new Crowd();
    crowd.server = createServer((asked, answer) => crowd.#answer(house, asked, answer)).listen(0, '127.0.0.1');
    await once(crowd.server, 'listening');
    crowd.url = `http://127.0.0.1:${crowd.server.address().port}`;
    return crowd;
  }

  /** Tells `count` updates of each of `subjects` in turn, as many a second as `rate`. */
  async tell(count, subjects, rate) {
    const begun = Date.now();
    for (let told = 0; told < count; ) {
      const due = Math.min(count, Math.ceil(((Date.now() - begun) * rate) / 1000));
      let text = '';
      for (; told < due; told += 1) text += this.#update(subjects[told % subjects.length]);
      for (const stream of this.#streams) stream.write(text);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  #update(subject) {
    const id = `7-${this.#ordinal++}.0`;
    const json = JSON.stringify({ id, type: 'sale', subject, time: Date.now(), data: { amount: '1', price: '1' } });
    return `event: auction_update\nid: ${id}\ndata: ${json}\n\n`;
  }

  #answer(house, asked, answer) {
    if (asked.url.startsWith('/events')) {
      answer.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      answer.write('event: position\nid: 7-0\ndata:\n\n');
      this.#streams.add(answer);
      answer.on('close', () => this.#streams.delete(answer));
      return;
    }
    if (asked.url.startsWith('/auctions')) this.asked += 1;
    const { method, headers, url } = asked;
    const passed = request({ host: '127.0.0.1', port: house.port, method, headers, path: url }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    asked.pipe(passed);
  }
}
