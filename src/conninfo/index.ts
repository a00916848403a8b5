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
export { connectTimeout, DEFAULT_CONNECT_TIMEOUT } from './numbers.js';
export type { ResolvedConninfo, ResolvedHost, TargetSessionAttrs } from './resolve.js';
export type { SslMode, TlsSettings } from './tls-settings.js';
