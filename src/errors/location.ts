/** The connection on which an error occurred, without its secrets. */
export interface ErrorConnection {
  /** The host's name, or the directory of the Unix socket. */
  readonly host: string;
  /** The server's port. */
  readonly port: number;
  /** The database's name. */
  readonly dbname: string;
  /** The role that signed in. */
  readonly user: string;
  /** The process id of the backend; null before it is known. */
  readonly pid: number | null;
}

/** The state of a pool that could not provide a connection; numbers of connections unless stated otherwise. */
export interface ErrorPool {
  /** The pool's name. */
  readonly name: string;
  /** The number of connections that the pool keeps open. */
  readonly minSize: number;
  /** The maximum number of connections; 0: no limit. */
  readonly maxSize: number;
  /** Connections that are checked out. */
  readonly lentOut: number;
  /** Connections that are idle. */
  readonly idle: number;
  /** Connections that are being made. */
  readonly connecting: number;
  /** Waiting requests, without the one that failed. */
  readonly waiting: number;
}

/** Records where an error of this library occurred, unless it is already recorded. */
export function locate(error: unknown, connection: ErrorConnection): void {
  if (typeof error !== 'object' || error === null || !('connection' in error)) return;
  if (error.connection === null) setShown(error, 'connection', connection);
}

/** Sets what printing the object shows, and what loggers copy, unless there is nothing: null. */
export function setShown(target: object, name: PropertyKey, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: value !== null, configurable: true });
}

/** Sets a property that printing the object does not show. */
export function setHidden(target: object, name: PropertyKey, value: unknown): void {
  Object.defineProperty(target, name, { value, configurable: true });
}
