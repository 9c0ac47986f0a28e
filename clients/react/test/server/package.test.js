// What `npm run build` made.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (name) => readFileSync(join(root, name), 'utf8');

it('packs what is for users, and nothing else', () => {
  const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8' });
  // Newer versions of npm name the package first.
  const [{ files }] = Object.values(JSON.parse(packed));
  const names = files.map((file) => file.path).filter((name) => !/^dist\/[a-z-]+\.d\.ts$/.test(name));
  expect(names.sort()).toEqual([
    'LICENSE-APACHE',
    'LICENSE-MIT',
    'README.md',
    'dist/index.js',
    'dist/index.js.map',
    'package.json',
  ]);
  const { dependencies, peerDependencies } = JSON.parse(read('package.json'));
  expect([dependencies, peerDependencies]).toEqual([undefined, { react: '^18.0.0 || ^19.0.0' }]);
});

it('needs React, and nothing else', async () => {
  const code = read('dist/index.js');
  expect(code.startsWith('"use client";')).toBe(true);
  expect(new Set([...code.matchAll(/\bfrom\s+"([^"]+)"/g)].map(([, name]) => name))).toEqual(new Set(['react']));
  const built = await import(join(root, 'dist/index.js'));
  const source = await import('../../src/index.js');
  expect(Object.keys(built).sort()).toEqual(Object.keys(source).sort());
});

it('comes with its source', () => {
  const { sources, sourcesContent } = JSON.parse(read('dist/index.js.map'));
  expect(sources).toContain('../src/hooks.ts');
  expect(sources).toContain('../../web/src/live-client.js');
  expect(sourcesContent.every((text) => text.length > 0)).toBe(true);
  expect(sources.filter((name) => name.startsWith('/'))).toEqual([]);
});

it('exports all that the web client does', async () => {
  const web = await import('../../../web/src/index.js');
  const own = await import('../../src/index.js');
  for (const name of Object.keys(web)) expect(own[name], name).toBe(web[name]);
});
