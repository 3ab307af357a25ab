// SPDX-License-Identifier: MIT
/*
 * reload.d.ts - the types of reload.js, whose comments say how it behaves.
 */
import type { BrokerClient, BrokerOptions } from './linnet.js';

export interface HotReloadOptions extends BrokerOptions {
  /** Default: one of its own, of the other options, which is connected */
  client?: BrokerClient;
  /** Default: true */
  autoReload?: boolean;
  /** Default: true */
  reportErrors?: boolean;
  /** That are kept and reported. Default: 100 */
  maxErrors?: number;
}

export interface ReloadMessage {
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** What has changed, if the server says so. */
  readonly files?: readonly string[];
}

export interface PageError {
  readonly message: string;
  readonly filename?: string;
  readonly lineno?: number;
  readonly colno?: number;
  readonly stack?: string;
  /** ISO 8601 */
  readonly timestamp: string;
}

export declare class HotReload {
  constructor(options?: HotReloadOptions);
  readonly client: BrokerClient;
  /** Asked before a reload: false, and nothing happens. */
  onReload: ((message: ReloadMessage) => unknown) | null;
  reload(): void;
  setAutoReload(isOn: boolean): void;
  getErrors(): PageError[];
  clearErrors(): void;
  /** Lets go of the page, and of a client that it made itself. */
  stop(): void;
}
