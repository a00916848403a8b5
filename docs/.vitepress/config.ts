import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitepress';
import { diagrams } from '../../tools/site/diagrams.js';
import { highlightOnce } from '../../tools/site/highlight-once.js';
import { REPOSITORY_FILES, SITE } from '../../tools/site/package-links.js';
import { referenceLinks } from '../../tools/site/reference-links.js';
import type { NamesOfModules, Topic } from '../../tools/site/reference.js';
import { repositoryLinks } from '../../tools/site/repository-links.js';
import { slug } from '../../tools/site/slug.js';
import { themedPictures } from '../../tools/site/themed-pictures.js';
import { chinese, nav, sidebar } from './navigation.js';
import { search } from './search.js';

// `npm run docs:reference` has made them.
const names = generated<NamesOfModules>('names.json');
const topics = generated<Topic[]>('topics.json');

export default defineConfig({
  title: 'usingpg',
  description: "Psycopg 3's async API for PostgreSQL in TypeScript",
  base: new URL(SITE).pathname,
  cleanUrls: true,
  lastUpdated: false,
  // The index of the search is large, and loaded by who searches.
  vite: { build: { chunkSizeWarningLimit: 4000 } },
  markdown: {
    anchor: { slugify: slug },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    config: (md) => {
      highlightOnce(md);
      diagrams(md);
      repositoryLinks(md);
      referenceLinks(md, names);
      themedPictures(md);
    },
  },
  locales: {
    root: { label: 'English', lang: 'en' },
    zh: { label: '简体中文', lang: 'zh-CN', link: '/zh/start', themeConfig: chinese },
  },
  themeConfig: {
    nav,
    sidebar: sidebar(topics),
    outline: [2, 3],
    search,
    // Only some pages are there in Chinese.
    i18nRouting: false,
    editLink: {
      pattern: `${REPOSITORY_FILES.replace('/blob/', '/edit/')}docs/:path`,
      text: 'Edit this page',
    },
    footer: { message: 'MIT licence' },
  },
});

function generated<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../reference/${name}`, import.meta.url), 'utf8')) as T;
}
