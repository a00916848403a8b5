import { readFileSync } from 'node:fs';

interface Package {
  readonly homepage: string;
  readonly repository: { readonly url: string };
}

const { homepage, repository } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as Package;

/** Where the site is published, with a slash at its end. */
export const SITE = homepage.replace(/\/?$/, '/');

/** Where a file of the repository can be read. */
export const REPOSITORY_FILES = `${repository.url.replace(/^git\+|\.git$/g, '')}/blob/main/`;
