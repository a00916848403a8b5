/** The connection that an error arose on, without its secrets. */
export interface ErrorConnection {
  /** The host's name, or the directory of the unix socket. */
  readonly host: string;
  readonly port: number;
  readonly dbname: string;
  readonly user: string;
  /** The process id of the backend; null if it was not connected yet. */
  readonly pid: number | null;
}

/** The state of a pool that could not give a connection, in numbers of connections where nothing else is said. */
export interface ErrorPool {
  /** The pool's name. */
  readonly name: string;
  readonly minSize: number;
  /** 0: no limit. */
  readonly maxSize: number;
  readonly lentOut: number;
  readonly idle: number;
  readonly connecting: number;
  /** Requests that wait, without the one that has failed. */
  readonly waiting: number;
}

/** Notes where an error of this library arose, unless it knows already. */
export function locate(error: unknown, connection: ErrorConnection): void {
  if (typeof error !== 'object' || error === null || !('connection' in error)) return;
  if (error.connection === null) setShown(error, 'connection', connection);
}

/** Sets what printing the object shows, and what loggers copy, unless there is nothing: null. */
export function setShown(target: object, name: PropertyKey, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: value !== null, configurable: true });
}

/** Sets what printing the object does not show. */
export function setHidden(target: object, name: PropertyKey, value: unknown): void {
  Object.defineProperty(target, name, { value, configurable: true });
}
