export type { AuthenticationSettings, AuthMethod } from './authentication.js';
export {
  conninfoToDict,
  makeConninfo,
  readConninfo,
  type ConninfoParams,
  type PasswordFunction,
  type PasswordRequest,
} from './conninfo.js';
export { isPem } from './pem.js';
export {
  connectTimeout,
  resolveConninfo,
  type ResolvedConninfo,
  type ResolvedHost,
  type TargetSessionAttrs,
} from './resolve.js';
export type { SslMode, TlsSettings } from './tls-settings.js';
