export { conninfoToDict, makeConninfo, type ConninfoParams } from './conninfo.js';
export { resolveConninfo, type ResolvedConninfo } from './resolve.js';
