export * from '../../web/src/index.js';
