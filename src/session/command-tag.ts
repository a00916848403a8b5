/** The number at the end of a tag such as `UPDATE 3`, or null if there is none. */
export function affectedRows(tag: string | null): number | null {
  if (tag === null) return null;
  const last = tag.slice(tag.lastIndexOf(' ') + 1);
  return /^\d+$/.test(last) ? Number(last) : null;
}
