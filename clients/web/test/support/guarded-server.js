import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const EXPIRED = 'the ticket has expired';

/** Live updates for those with a ticket, in the words of the real server, which gives tickets of whole seconds only. */
export async function openGuardedServer() {
  const log = [];
  const tickets = new Set();
  const clients = new Set();
  let issued = 0;
  const stats = { refused: 0 };

  const server = createServer((request, response) => {
    const asked = ask(request, response);
    if (!asked) return;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 3000\n\n');
    response.write(`event: position\n${asked.from ? '' : `id: 7-${log.length}\n`}data: \n\n`);
    join(asked, {
      tell: (update) => response.write(`event: auction_update\nid: ${update.id}\ndata: ${JSON.stringify(update)}\n\n`),
      end: () => response.end(`event: end\ndata: ${JSON.stringify({ reason: EXPIRED, type: 'end' })}\n\n`),
      gone: (leave) => response.on('close', leave),
    });
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    const asked = ask(request, null);
    if (!asked) return socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    sockets.handleUpgrade(request, socket, head, (socket) => {
      const say = (json) => socket.send(JSON.stringify(json));
      const begin = (name) => {
        say({ op: 'subscribed', name, id: asked.from ? null : `7-${log.length}` });
        join(asked, { tell: say, end: () => socket.close(1008, EXPIRED), gone: (leave) => socket.on('close', leave) });
      };
      if (asked.from) begin('');
      else socket.once('message', (text) => begin(JSON.parse(text).name));
    });
  });

  /** What is asked for, if the ticket is good. */
  function ask(request, response) {
    const query = new URL(request.url, 'http://server').searchParams;
    const ticket = query.get('ticket');
    if (!tickets.has(ticket)) {
      stats.refused += 1;
      const headers = { 'content-type': 'application/problem+json', 'www-authenticate': 'Bearer' };
      const problem = { type: 'about:blank', title: 'Unauthorized', status: 401, detail: EXPIRED };
      response?.writeHead(401, headers).end(JSON.stringify(problem));
      return null;
    }
    return { ticket, from: query.get('last_event_id') };
  }

  function join({ ticket, from }, { tell, end, gone }) {
    if (from) for (const update of log.slice(Number(/-(\d+)/.exec(from)[1]))) tell(update);
    const client = { ticket, tell, end };
    clients.add(client);
    gone(() => clients.delete(client));
  }

  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/events`,
    stats,
    get issued() {
      return issued;
    },
    issue() {
      issued += 1;
      tickets.add(`t${issued}`);
      return `t${issued}`;
    },
    /** Ends what came by the tickets so far, and lets nobody in by them. */
    expire() {
      tickets.clear();
      for (const client of [...clients]) {
        clients.delete(client);
        client.end();
      }
    },
    say() {
      const id = `7-${log.length + 1}.0`;
      const update = { data: {}, id, identity: id, subject: 'auction:1', time: Date.now(), type: 'sale' };
      log.push(update);
      for (const client of clients) client.tell(update);
    },
    log,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      for (const socket of sockets.clients) socket.terminate();
      await closed;
    },
  };
}
