import type { DefaultTheme } from 'vitepress';

type Item = DefaultTheme.SidebarItem;

const START: Item = {
  text: 'Start',
  items: [
    { text: 'Start in five minutes', link: '/start' },
    { text: 'Tutorial: a web service', link: '/tutorial' },
    { text: 'The failure and the cure', link: '/failure-and-cure' },
  ],
};

const GUIDES: Item = {
  text: 'Guides',
  items: [
    { text: 'Connecting', link: '/guides/connecting' },
    { text: 'Pools', link: '/guides/pools' },
    { text: 'Transactions', link: '/guides/transactions' },
    { text: 'Parameters and composition', link: '/guides/parameters' },
    { text: 'Rows', link: '/guides/rows' },
    { text: 'Values and codecs', link: '/guides/values' },
    { text: 'Many statements', link: '/guides/pipelines' },
    { text: 'COPY', link: '/guides/copy' },
    { text: 'Large results', link: '/guides/large-results' },
    { text: 'Notifications and job queues', link: '/guides/notifications' },
    { text: 'Two-phase commit', link: '/guides/two-phase' },
    { text: 'Cancelling', link: '/guides/cancelling' },
    { text: 'Errors', link: '/guides/errors' },
    { text: 'Reading an error', link: '/errors' },
    { text: 'For what takes pg', link: '/pg' },
    { text: 'Web frameworks', link: '/guides/frameworks' },
    { text: 'Typed SQL', link: '/guides/typed-sql' },
    { text: 'Testing', link: '/guides/testing' },
  ],
};

const WITH_OTHERS: Item = {
  text: 'With other libraries',
  items: [
    { text: 'Kysely', link: '/guides/kysely' },
    { text: 'Drizzle', link: '/guides/drizzle' },
  ],
};

const RUNNING: Item = {
  text: 'Running it',
  items: [
    { text: 'On call', link: '/guides/on-call' },
    { text: 'Observability', link: '/guides/observability' },
    { text: 'OpenTelemetry', link: '/guides/opentelemetry' },
    { text: 'PgBouncer', link: '/guides/pgbouncer' },
    { text: 'Failover', link: '/guides/failover' },
    { text: 'Beyond one machine', link: '/guides/beyond-one-machine' },
    { text: 'A thousand processes', link: '/guides/fleet' },
    { text: 'Serverless and frozen processes', link: '/guides/serverless' },
    { text: 'Bundlers and runtimes', link: '/guides/bundlers' },
  ],
};

const COMING_FROM: Item = {
  text: 'Coming from',
  items: [
    { text: 'pg (node-postgres)', link: '/coming-from/pg' },
    { text: 'postgres.js', link: '/coming-from/postgres' },
    { text: 'Psycopg 2', link: '/coming-from/psycopg2' },
    { text: 'Psycopg 3', link: '/coming-from/psycopg3' },
    { text: 'asyncpg', link: '/coming-from/asyncpg' },
  ],
};

const WHY: Item = {
  text: 'Why trust it',
  items: [
    { text: 'Benchmarks', link: '/why/benchmarks' },
    { text: 'Performance', link: '/why/performance' },
    { text: 'Reliability', link: '/why/reliability' },
    { text: 'Security', link: '/why/security' },
    { text: 'Architecture', link: '/why/architecture' },
    { text: 'The session', link: '/why/session' },
    { text: 'The pool', link: '/why/pool' },
    { text: 'The types', link: '/why/types' },
    { text: 'FAQ', link: '/faq' },
    { text: 'Changelog', link: '/changelog' },
  ],
};

export const nav: DefaultTheme.NavItem[] = [
  { text: 'Start', link: '/start' },
  { text: 'Tutorial', link: '/tutorial' },
  { text: 'Guides', link: '/guides/connecting', activeMatch: '/guides/' },
  { text: 'Coming from', items: COMING_FROM.items as DefaultTheme.NavItemWithLink[] },
  { text: 'Reference', link: '/reference/', activeMatch: '/reference/' },
  { text: 'Why trust it', items: WHY.items as DefaultTheme.NavItemWithLink[] },
];

/** The sidebar: all pages, and beside the reference its names. */
export function sidebar(reference: Item[]): DefaultTheme.SidebarMulti {
  return {
    '/reference/': [{ text: 'Reference', link: '/reference/' }, ...reference],
    '/': [START, GUIDES, WITH_OTHERS, RUNNING, COMING_FROM, { text: 'Reference', link: '/reference/' }, WHY],
  };
}

export const chinese: DefaultTheme.Config = {
  nav: [
    { text: '开始', link: '/zh/start' },
    { text: '故障与对策', link: '/zh/failure-and-cure' },
    { text: '指南（英文）', link: '/guides/connecting' },
    { text: '参考（英文）', link: '/reference/' },
  ],
  sidebar: [
    {
      text: '开始',
      items: [
        { text: '五分钟上手', link: '/zh/start' },
        { text: '故障与对策', link: '/zh/failure-and-cure' },
      ],
    },
  ],
  outline: { label: '本页内容' },
  docFooter: { prev: '上一页', next: '下一页' },
  sidebarMenuLabel: '菜单',
  returnToTopLabel: '返回顶部',
  darkModeSwitchLabel: '主题',
  lightModeSwitchTitle: '切换到浅色主题',
  darkModeSwitchTitle: '切换到深色主题',
};
