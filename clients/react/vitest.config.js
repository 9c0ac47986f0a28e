import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

// Everything runs with both Reacts: on a page, and where there is none. The newest is installed here, the oldest in
// test/react-18, and what the tests import, themselves or by the testing library, is led to one of them.
const older = {
  react: path('test/react-18/node_modules/react'),
  'react-dom': path('test/react-18/node_modules/react-dom'),
  '@testing-library/react': path('node_modules/@testing-library/react/dist/@testing-library/react.esm.js'),
};

const project = (version, alias, environment, folder) => ({
  resolve: { alias },
  test: {
    name: `React ${version}, ${folder}`,
    environment,
    include: [`test/${folder}/*.test.js`],
    env: { REACT: version },
    server: { deps: { inline: [/@testing-library\/react/] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

export default defineConfig({
  test: {
    projects: [
      project('19', {}, 'jsdom', 'page'),
      project('18', older, 'jsdom', 'page'),
      project('19', {}, 'node', 'server'),
      project('18', older, 'node', 'server'),
    ],
  },
});
