import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.js'],
    // A slow machine with two cores takes its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
