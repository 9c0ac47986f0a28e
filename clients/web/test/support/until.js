/** Waits until `holds`, looking often; says what it waited for if that never comes. */
export async function until(holds, what = holds.toString(), patience = 50_000) {
  const end = Date.now() + patience;
  for (;;) {
    const value = await holds();
    if (value) return value;
    if (Date.now() > end) throw new Error(`in vain waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const someTime = (most) => new Promise((resolve) => setTimeout(resolve, Math.random() * most));
