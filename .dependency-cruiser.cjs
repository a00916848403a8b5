// The layers, from the top. Each may import the layers below it, never those above.
const LAYERS = [
  '^src/listener',
  '^src/pool/',
  '^src/catalogue/',
  '^src/(connection|cursor)/',
  '^src/copy/',
  '^src/(query|types|rows\\.ts|column\\.ts)',
  '^src/session/',
  '^src/wire/',
  '^src/(conninfo|errors|options|diagnostics|inspect|queues|waiting|iteration|sql-(?:scanner|segments|statement)|node-modules|packages)',
];

const upward = LAYERS.slice(1).map((layer, i) => ({
  name: `nothing-above-${layer
    .replace(/[^a-z|]/g, '')
    .replace(/^src/, '')
    .replace(/\|/g, '-')}`,
  comment: 'Imports go one way, from the pool down to the socket.',
  severity: 'error',
  from: { path: layer },
  to: { path: LAYERS.slice(0, i + 1).join('|') },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...upward,
    {
      name: 'no-cycles',
      comment:
        'Connection and cursor are one layer and may know each other by type; nothing may go round at run time.',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-cycles-of-types',
      comment: 'In these folders not even types go round: each file can be read with what stands below it.',
      severity: 'error',
      from: { path: '^src/(types|catalogue|copy|query|session|wire)/' },
      to: { circular: true },
    },
    {
      name: 'leaves-are-leaves',
      comment:
        'Errors, diagnostics, lists, waiting and the lexer of SQL need each other at most; conninfo and options need errors only, and one another.',
      severity: 'error',
      from: {
        path: '^src/(errors|options|diagnostics|conninfo|inspect|queues|waiting|iteration|sql-(?:scanner|segments|statement)|node-modules|packages)',
      },
      to: {
        path: '^src/',
        pathNot:
          '^src/(errors/|conninfo/|options/|queues|waiting|inspect|sql-scanner|sql-segments|node-modules|packages)',
      },
    },
    {
      name: 'resource-pool-knows-no-sql',
      comment:
        'The core of the pool is about anything that is made, lent out and ended; so are all its parts.',
      severity: 'error',
      from: { path: '^src/pool/resource-pool\\.ts$' },
      to: {
        path: '^src/(catalogue|connection|cursor|copy|query|types|session|wire|conninfo)/',
        reachable: true,
      },
    },
    {
      name: 'one-engine',
      comment: 'postgres.js is used by the engine only, so that its behaviour is relied on in one place.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(wire/engine|packages)\\.ts$' },
      to: { path: '(^|/)node_modules/postgres/' },
    },
    {
      name: 'p-limit-in-one-place',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(iteration|packages)\\.ts$' },
      to: { path: '(^|/)node_modules/p-limit/' },
    },
    {
      name: 'index-is-for-users',
      comment: 'src/index.ts says what is public; within the library each file imports what it means.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/integrations/' },
      to: { path: '^src/index\\.ts$' },
    },
    {
      name: 'integrations-are-users',
      comment:
        'A subpath export uses what the main entry exports, as a program of its users could; none uses another. Leaves without a state, of which nothing but the errors is shared, are bundled into it.',
      severity: 'error',
      from: { path: '^src/integrations/([^/.]+)' },
      to: {
        path: '^src/',
        pathNot:
          '^src/(index\\.ts$|(?:sql-(?:scanner|segments)|queues|options/(?:call-options|kinds))\\.ts$|integrations/$1(/|\\.ts$))',
      },
    },
    {
      name: 'nothing-needs-an-integration',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/integrations/' },
      to: { path: '^src/integrations/' },
    },
    {
      name: 'no-development-dependencies',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'unknown'],
        dependencyTypesNot: ['npm-peer'],
      },
    },
    {
      name: 'peers-are-for-integrations',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/integrations/' },
      to: { dependencyTypes: ['npm-peer'] },
    },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
