/** The text of a thrown value. Anything can be thrown, and some objects cannot be converted to text. */
export function thrownText(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'an object without a text';
  }
}
