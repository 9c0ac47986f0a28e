import { connect, createServer } from 'node:net';

/**
 * Passes connections through to `port`, which may change, or be asked for each, and cuts them: after so many bytes,
 * wherever that is, or when told to.
 */
export async function openCuttingProxy(port) {
  const pairs = new Set();
  const proxy = { port, cuts: 0, midFrame: 0, budget: () => Infinity, cutAll, close };

  function cutAll() {
    for (const pair of [...pairs]) pair.cut();
  }

  const server = createServer((client) => {
    const upstream = connect(typeof proxy.port === 'function' ? proxy.port() : proxy.port, '127.0.0.1');
    let budget = proxy.budget();
    const pair = {
      cut() {
        if (!pairs.delete(pair)) return;
        proxy.cuts += 1;
        upstream.destroy();
        // As a network that vanishes does, or as a server that ends does.
        if (Math.random() < 0.5) client.resetAndDestroy();
        else client.destroy();
      },
    };
    pairs.add(pair);
    upstream.on('data', (chunk) => {
      if (!pairs.has(pair)) return;
      if (chunk.length < budget) {
        budget -= chunk.length;
        client.write(chunk);
        return;
      }
      // Written out before the connection goes, or nothing of it would arrive.
      proxy.midFrame += 1;
      client.write(chunk.subarray(0, budget), () => pair.cut());
      budget = 0;
    });
    client.on('data', (chunk) => upstream.write(chunk));
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      one.on('error', () => other.destroy());
      one.on('close', () => {
        pairs.delete(pair);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

  async function close() {
    const closed = new Promise((resolve) => server.close(resolve));
    cutAll();
    await closed;
  }

  return Object.assign(proxy, { origin: `http://127.0.0.1:${server.address().port}` });
}
