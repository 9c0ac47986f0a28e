/**
 * Runs what a listener does. What it throws is its own trouble, and must not keep others from being told.
 *
 * @param {() => void} listen
 */
export function call(listen) {
  try {
    listen();
  } catch (error) {
    report(error);
  }
}

/** @param {unknown} error */
export function report(error) {
  if (typeof globalThis.reportError === 'function') globalThis.reportError(error);
  else console.error(error);
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error && error.message ? error.message : String(error);
}
