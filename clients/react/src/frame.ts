// However much happens, components hear of it once in a frame, and all in the same one.

/** Frames do not come while a page is not seen, and it may be put out of sight after one was asked for. */
const AT_LATEST = 250;

const due = new Set<() => void>();
let cancel: (() => void) | null = null;

/** Calls `notify` in the next frame, once. */
export function inNextFrame(notify: () => void): void {
  due.add(notify);
  cancel ??= ask();
}

export function notAtAll(notify: () => void): void {
  due.delete(notify);
  if (due.size > 0) return;
  cancel?.();
  cancel = null;
}

function ask(): () => void {
  const hasFrames =
    typeof requestAnimationFrame === 'function' &&
    (typeof document === 'undefined' || document.visibilityState === 'visible');
  const frame = hasFrames ? requestAnimationFrame(run) : null;
  const timer = setTimeout(run, AT_LATEST);
  return () => {
    if (frame !== null) cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
}

function run(): void {
  cancel?.();
  cancel = null;
  const notified = [...due];
  due.clear();
  for (const notify of notified) notify();
}
