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
  | 'queue-full' // nothing was sent: queueLimit, or maxBufferedAmount
  | 'expired' // nothing was sent: no connection came in time
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
  /** A function is asked at each attempt, and may take its time. */
  url: string | (() => string | Promise<string>);
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
  /** How each ended; all of them rejected with one RpcError if the server refused the batch as a whole. */
  batch(calls: readonly BatchCall[], options?: { timeout?: number }): Promise<PromiseSettledResult<unknown>[]>;

  /** Lets the server call a method: its result, or what it throws, is the answer. */
  register<Params = any>(name: string, method: (params: Params) => unknown): void;
  unregister(name: string): void;
}

/** The answer to a request; or thrown by a handler, to choose what the asker gets. */
export declare class BrokerError extends Error {
  /** Such as 404: nobody handles the topic; 400: not with that payload; 500: the handler failed. */
  readonly code: number;
  readonly topic: string;
  readonly id: string;
  constructor(code: number, message: string, about?: { topic?: string; id?: string });
}

export interface BrokerOptions extends Omit<ClientOptions, 'url'> {
  /** http: is as good as ws:, and a page may leave out its own origin. Default: /wsmq of the page's origin */
  url?: string | URL | (() => string | URL | Promise<string | URL>);
  /** Of the messages: 'legacy' is {header, body}. Default: 'current' */
  generation?: 'current' | 'legacy';
  /** Asked before each attempt, sent as `token` in the query; none if empty. */
  token?: string | null | (() => string | null | undefined | Promise<string | null | undefined>);
  /** Asked for at each connection; the server may give another one. Default: a random one, kept over reconnections */
  clientId?: string;
  /** Keeps the client id over reloads: sessionStorage. Default: nothing does */
  storage?: Pick<Storage, 'getItem' | 'setItem'>;
  /** Default: made from the client id */
  clientName?: string;
  /** Default: 'browser' in a page, else 'generic' */
  clientType?: string;
  /** Default: where the page is, without query and fragment */
  clientUrl?: string;
  /** False: open as soon as there is a connection, without an entry in the directory. Default: true */
  register?: boolean;
  /** Bytes: what a server takes at most. Default: 1048576 */
  maxMessageBytes?: number;
  /** Messages that may wait for a connection, no more than maxBufferedAmount bytes. Default: 0 */
  queueLimit?: number;
  /** Milliseconds that each may wait. Default: 30000 */
  queueExpiry?: number;
  /** Requests may wait as well; their time runs meanwhile. Default: false */
  queueRequests?: boolean;
}

export interface BrokerEvents extends ClientEvents {
  /** The server has confirmed a subscription, again after each reconnection. */
  subscribed: (topic: string) => void;
  /** Received, and of no use. */
  ignored: (what: {
    /** A type that does not exist; an answer nobody waits for any more; a topic that nobody subscribes to. */
    readonly reason: 'unknown-type' | 'late' | 'unclaimed';
    readonly id: string;
    readonly topic: string;
  }) => void;
}

export interface BrokerStats {
  /** Messages that wait for a connection. */
  readonly queued: number;
  /** Messages that were to wait and were never sent. */
  readonly dropped: number;
  /** Received messages that were none. */
  readonly malformed: number;
  /** As many as 'ignored' was told of. */
  readonly ignored: number;
}

export interface ClientInfo {
  readonly id: string;
  readonly name: string;
  readonly clientType: string;
  readonly clientUrl: string;
}

export type TopicHandler<Payload = any> = (payload: Payload, topic: string) => unknown;

export declare class BrokerClient extends Client {
  constructor(options?: BrokerOptions);
  constructor(url: BrokerOptions['url'], options?: Omit<BrokerOptions, 'url'>);

  /** The id that the server knows this client by; before, the one that it will ask for. */
  readonly id: string;
  readonly stats: BrokerStats;
  onOpen: BrokerEvents['open'] | null;
  onClose: BrokerEvents['close'] | null;
  onError: BrokerEvents['error'] | null;

  on<E extends keyof BrokerEvents>(event: E, listener: BrokerEvents[E]): void;
  off<E extends keyof BrokerEvents>(event: E, listener?: BrokerEvents[E]): void;

  /** Also answers what the server asks at exactly this topic. Call what is returned to end it. */
  subscribe<Payload = any>(topic: string, handler: TopicHandler<Payload>): () => void;
  /** Ends all subscriptions to a topic. */
  unsubscribe(topic: string): void;
  /** Rejected if it was not sent. */
  publish(topic: string, payload?: unknown): Promise<void>;
  /** False at once if it was not sent. */
  tryPublish(topic: string, payload?: unknown): boolean;

  /** Rejected with a BrokerError or a ClientError. Milliseconds; default: requestTimeout */
  request<Result = unknown>(topic: string, payload?: unknown, timeout?: number): Promise<Result>;
  /** Asks another client, as far as the server allows it. */
  call<Result = unknown>(targetId: string, topic: string, payload?: unknown, timeout?: number): Promise<Result>;
  clients(filter?: { clientType?: string; name?: string }): Promise<ClientInfo[]>;
  /** Lets the server ask, instead of who answered so far. Call what is returned to end it. */
  handle<Payload = any>(topic: string, handler: TopicHandler<Payload>): () => void;

  getID(): string;
  sendServerRequest<Result = unknown>(topic: string, payload?: unknown, timeout?: number | null): Promise<Result>;
  handleServerRequest<Payload = any>(topic: string, handler: TopicHandler<Payload>): () => void;
  onConnect(listener: () => void): () => void;
  onDisconnect(listener: BrokerEvents['close']): () => void;
}
