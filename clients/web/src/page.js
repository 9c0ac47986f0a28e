/**
 * Watches what a page goes through: its network comes back, it is looked at again, it is put away and taken out again.
 * Where there is no page nothing happens.
 *
 * @param {{ wake(): void, hide(): void, show(): void }} life
 * @returns {() => void} ends it
 */
export function watchPage({ wake, hide, show }) {
  const { document } = globalThis;
  /** @type {[EventTarget | undefined, string, () => void][]} */
  const listeners = [
    [globalThis, 'online', wake],
    // A page with an open connection is not kept for when its visitor comes back.
    [globalThis, 'pagehide', hide],
    [globalThis, 'pageshow', show],
    [document, 'visibilitychange', () => document.visibilityState === 'visible' && wake()],
  ];
  const there = listeners.filter(([target]) => typeof target?.addEventListener === 'function');
  for (const [target, name, listener] of there) target?.addEventListener(name, listener);
  return () => {
    for (const [target, name, listener] of there) target?.removeEventListener(name, listener);
  };
}
