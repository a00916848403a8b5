/** The names of Psycopg by ours, of the tables of the page that maps them. */
export function psycopgNames(page: string): Map<string, string> {
  const names = new Map<string, string>();
  for (const line of page.split('\n')) {
    const [, psycopg = '', ours = ''] = line.split('|').map((cell) => cell.trim());
    const [, name] = /^`([\w.]+)`$/.exec(psycopg) ?? [];
    const [, our] = /^`([\w.]+)`$/.exec(ours) ?? [];
    if (name !== undefined && our !== undefined && !names.has(our)) names.set(our, name);
  }
  return names;
}
