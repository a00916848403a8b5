import { readFile, writeFile } from 'node:fs/promises';
import { dirname, relative, resolve, sep } from 'node:path';

interface SourceMap {
  sources: string[];
  sourcesContent: (string | null)[];
}

/**
 * The package has `src` beside `dist`: there a source map finds it, wherever `dist` was built. What does not come from there stays in
 * the map.
 */
export async function pointToSources(path: string): Promise<void> {
  const map = JSON.parse(await readFile(path, 'utf8')) as SourceMap;
  for (const [i, source] of map.sources.entries()) {
    const place = relative('.', resolve(dirname(path), source))
      .split(sep)
      .join('/');
    if (!place.startsWith('src/')) continue;
    map.sources[i] = `../${place}`;
    map.sourcesContent[i] = null;
  }
  await writeFile(path, JSON.stringify(map));
}
