/** What was thrown, as text. Anything can be thrown, and not every object has a text. */
export function thrownText(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'an object without a text';
  }
}
