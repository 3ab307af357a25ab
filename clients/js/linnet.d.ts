// SPDX-License-Identifier: MIT
/*
 * linnet.d.ts - the types of linnet.js, whose comments say how it behaves.
 */

export type State = 'DISCONNECTED' | 'CONNECTING' | 'CONNECTED' | 'RECONNECTING' | 'CLOSED';

export declare const ConnectionState: { readonly [S in State]: S };

/** Command ids that an application cannot have handlers for. */
export declare const ReservedCommands: {
  readonly JSON_RPC: 0xFFFFFFFF;
  readonly JSON_RPC_ERROR: 0xFFFFFFFE;
  readonly INVALID_COMMAND: 0xFFFFFFFD;
  readonly COMMAND_ERROR: 0xFFFFFFFC;
};

export declare const RpcCode: {
  readonly PARSE_ERROR: -32700;
  readonly INVALID_REQUEST: -32600;
  readonly METHOD_NOT_FOUND: -32601;
  readonly INVALID_PARAMS: -32602;
  readonly INTERNAL_ERROR: -32603;
};

export declare const MAX_PAYLOAD_BYTES: 10485760;

export type ClientErrorCode =
  | 'not-connected' // nothing was sent
  | 'buffer-full' // nothing was sent: maxBufferedAmount; drained() tells when to try again
  | 'connection-failed' // an attempt
  | 'connection-lost' // before the answer came, or the room
  | 'timeout' // of an attempt or of a call
  | 'duplicate-id' // nothing was sent: a call of that id waits
  | 'malformed'; // received, and passed over

export declare class ClientError extends Error {
  readonly code: ClientErrorCode;
  constructor(code: ClientErrorCode, message: string);
}

/** The server's answer to a call; or thrown by a registered method, to choose what the server gets. */
export declare class RpcError extends Error {
  readonly code: number;
  readonly data: unknown;
  constructor(code: number, message: string, data?: unknown);
}

/** The browser's, Node's from version 22 on, or npm's `ws`. */
export type WebSocketConstructor = new (url: string) => object;

export interface ClientOptions {
  /** A function is asked at each attempt. */
  url: string | (() => string);
  /** Default: true */
  autoReconnect?: boolean;
  /** Milliseconds: the most that the first wait may be; doubled per failure. Default: 3000 */
  reconnectDelay?: number;
  /** Milliseconds: the most that any wait may be. Default: 30000 */
  maxReconnectDelay?: number;
  /** In a row. Default: Infinity */
  maxReconnectAttempts?: number;
  /** Milliseconds. Default: 10000 */
  connectionTimeout?: number;
  /** Milliseconds for the answer to a call. Default: 30000 */
  requestTimeout?: number;
  /** Bytes that may wait in the socket; a larger message goes if nothing else waits. Default: 16777216 */
  maxBufferedAmount?: number;
  /** Tells on the console what it does. Default: false */
  debug?: boolean;
  /** Default: the global one */
  WebSocket?: WebSocketConstructor;
}

export interface CloseInfo {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

export interface ClientEvents {
  open: () => void;
  /** Once for each 'open'. disconnect() called here is the way not to reconnect. */
  close: (info: CloseInfo) => void;
  /** Attempt number `attempt` comes in `delay` milliseconds. */
  reconnecting: (info: { readonly attempt: number; readonly delay: number }) => void;
  state: (state: State, before: State) => void;
  /** An attempt that failed; what a handler or listener threw; what was malformed; errors that belong to no call. */
  error: (error: unknown) => void;
  /** There is room again after a send was refused. */
  drain: () => void;
}

declare class Client {
  /** Of this attempt; if it fails, others follow as long as autoReconnect says so. */
  connect(): Promise<void>;
  disconnect(): void;
  isConnected(): boolean;
  getState(): State;
  /** Bytes that were sent and wait for the network. */
  readonly bufferedAmount: number;
  /** Kept when no more than half of maxBufferedAmount waits. */
  drained(): Promise<void>;
  on<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): void;
  /** Without a listener: all of that event. */
  off<E extends keyof ClientEvents>(event: E, listener?: ClientEvents[E]): void;
}

/** `payload` lies in the received message: it is not copied. */
export type CommandHandler = (payload: Uint8Array, id: number) => unknown;
export type Payload = ArrayBuffer | ArrayBufferView;
export type RpcParams = readonly unknown[] | object;

export interface RpcResponse<Result = unknown> {
  readonly jsonrpc: '2.0';
  readonly id: string | number;
  readonly result: Result;
}

export interface BatchCall {
  method: string;
  params?: RpcParams;
  /** No answer is wanted: its outcome is undefined. */
  isNotification?: boolean;
}

export declare class CommandClient extends Client {
  constructor(options: ClientOptions);

  /** Handles a command, instead of who did so far. Throws for ReservedCommands. */
  on(id: number, handler: CommandHandler): void;
  on<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): void;
  off(id: number): void;
  off<E extends keyof ClientEvents>(event: E, listener?: ClientEvents[E]): void;

  /** Rejected if it was not sent. */
  send(id: number, payload?: Payload | null): Promise<void>;
  /** False at once if it was not sent. */
  trySend(id: number, payload?: Payload | null): boolean;
  sendString(id: number, text: string): Promise<void>;
  sendJSON(id: number, data: unknown): Promise<void>;

  /** The whole answer; rejected with an RpcError or a ClientError. */
  sendJSONRPC<Result = unknown>(method: string, params?: RpcParams, id?: string | number): Promise<RpcResponse<Result>>;
  /** The result alone. */
  call<Result = unknown>(method: string, params?: RpcParams, options?: { timeout?: number }): Promise<Result>;
  notify(method: string, params?: RpcParams): Promise<void>;
  batch(calls: readonly BatchCall[], options?: { timeout?: number }): Promise<PromiseSettledResult<unknown>[]>;

  /** Lets the server call a method: its result, or what it throws, is the answer. */
  register<Params = any>(name: string, method: (params: Params) => unknown): void;
  unregister(name: string): void;
}
