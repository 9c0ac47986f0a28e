import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { until } from './until.js';

/** A Redis of its own, which keeps nothing. */
export async function openRedis() {
  const port = await freePort();
  const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = spawn('redis-server', options.map(String), { stdio: 'ignore' });
  const kill = () => server.kill('SIGKILL');
  process.once('exit', kill);
  let trouble = null;
  server.once('error', () => (trouble = 'redis-server is missing: install it'));
  server.once('exit', (code) => (trouble ??= `redis-server ended with ${code}`));
  const ended = new Promise((resolve) => server.once('close', resolve));
  await until(async () => {
    if (trouble) throw new Error(trouble);
    return (await say(port, 'PING').catch(() => '')).startsWith('+PONG');
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    say: (command) => say(port, command),
    async close() {
      kill();
      await ended;
      process.off('exit', kill);
    },
  };
}

/** Says one command in Redis's plainest form, and returns the first line of the answer. */
function say(port, command) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`));
    socket.once('data', (answer) => {
      socket.destroy();
      resolve(String(answer));
    });
    socket.once('error', reject);
  });
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
