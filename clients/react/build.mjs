// One file for React's bundlers, with the web client in it, and the types beside.
import { execFileSync } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: ['src/index.ts'],
  outfile: 'dist/index.js',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  external: ['react'],
  sourcemap: true,
  sourcesContent: true,
  // Frameworks that render on servers are told that these are of the page.
  banner: { js: '"use client";' },
});
const declarations = ['--declaration', '--emitDeclarationOnly', '--noEmit', 'false', '--rootDir', 'src', '--outDir', 'dist'];
execFileSync('node', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', ...declarations], { stdio: 'inherit' });
// The types of the web client are written by hand: they come along as they are.
copyFileSync('../web/src/index.d.ts', 'dist/web.d.ts');
copyFileSync('../web/src/types.d.ts', 'dist/types.d.ts');
