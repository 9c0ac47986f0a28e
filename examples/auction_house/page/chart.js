// The price curve: it falls in steps from the kick of a round, and each sale is a dot on it.

import { byId, shape, write } from '/page/dom.js';
import { clock, eth, ethNumber } from '/page/format.js';

const HEIGHT = 240;
const EDGE = { left: 44, right: 16, top: 16, bottom: 28 };

let drawn = null;
let width = 0;

new ResizeObserver(([entry]) => {
  width = Math.round(entry.contentRect.width);
  if (drawn) paint(drawn);
}).observe(byId('chart'));

/** Draws what a node says of the price; `undefined`: nothing is known yet. */
export function drawCurve(curve) {
  // The same answer makes the same picture.
  if (drawn === curve) return;
  drawn = curve;
  paint(curve);
}

function paint(curve) {
  const svg = byId('chart');
  if (width === 0) return;
  const title = byId('chart-title');
  if (!curve?.points?.length) {
    svg.replaceChildren(title);
    write(title, 'No price curve yet');
    return;
  }
  svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
  const points = curve.points.map((point) => ({ ...point, value: ethNumber(point.price) }));
  const [first, lowest] = [ethNumber(curve.first_price), ethNumber(curve.lowest_price)];
  const top = Math.max(first, ...points.map((point) => point.value)) * 1.08;
  const begin = points[0].timestamp;
  const now = Math.max(Math.floor(Date.now() / 1000), points.at(-1).timestamp);
  const end = Math.max(begin + 30, now);
  const x = (time) => EDGE.left + ((time - begin) / (end - begin)) * (width - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const parts = [title, ...grid(top, x, y, begin, end)];
  parts.push(
    ...line(points, x, y, now),
    shape('line', { class: 'floor', x1: EDGE.left, x2: width - EDGE.right, y1: y(lowest), y2: y(lowest) }),
    label('floor-label', width - EDGE.right, y(lowest) + 14, 'lowest price', 'end'),
  );
  svg.replaceChildren(...parts);
  const sales = points.filter((point) => point.kind === 'sale').length;
  write(title, `Price curve of round ${curve.round}: from ${eth(curve.first_price)} to ${eth(curve.points.at(-1).price)} now; ${sales} sales.`);
}

function grid(top, x, y, begin, end) {
  const parts = [];
  const step = top > 4 ? Math.ceil(top / 4) : 0.5;
  for (let value = 0; value <= top; value += step) {
    parts.push(
      shape('line', { class: 'grid', x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
      label('axis', EDGE.left - 8, y(value) + 4, value.toFixed(1), 'end'),
    );
  }
  parts.push(label('axis', x(begin), HEIGHT - 8, clock(begin * 1000), 'start'));
  parts.push(label('axis', x(end), HEIGHT - 8, clock(end * 1000), 'end'));
  return parts;
}

function line(points, x, y, now) {
  let path = '';
  for (const point of points) {
    path += path ? `H${x(point.timestamp).toFixed(1)}V${y(point.value).toFixed(1)}` : `M${x(point.timestamp).toFixed(1)},${y(point.value).toFixed(1)}`;
  }
  const last = points.at(-1);
  path += `H${x(now).toFixed(1)}`;
  const floor = y(0).toFixed(1);
  const parts = [
    shape('path', { class: 'area', d: `${path}V${floor}H${x(points[0].timestamp).toFixed(1)}Z` }),
    shape('path', { class: 'curve', d: path }),
  ];
  for (const point of points.filter((one) => one.kind !== 'fall')) {
    const text = `${point.kind === 'sale' ? 'Sold' : 'Kicked'} at ${eth(point.price)}, ${clock(point.timestamp * 1000)}`;
    const dot = shape('circle', { class: `dot-${point.kind}`, cx: x(point.timestamp), cy: y(point.value), r: 4 });
    dot.append(shape('title', {}, text));
    parts.push(dot);
  }
  parts.push(shape('circle', { class: 'dot-now', cx: x(now), cy: y(last.value), r: 5 }));
  return parts;
}

const label = (kind, x, y, text, anchor) => shape('text', { class: kind, x, y, 'text-anchor': anchor }, text);
