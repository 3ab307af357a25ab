// SPDX-License-Identifier: MIT
/*
 * control.d.ts - the types of control.js, whose comments say how it behaves.
 */
import type { BrokerClient } from './linnet.js';

export type ControlName = 'navigate' | 'alert' | 'info' | 'fillForm' | 'submitForm' | 'clearForm' | 'screenshot' | 'scroll' | 'click';

/** All but exec. */
export declare const Controls: readonly ControlName[];

/** Lets others ask for these, and for nothing else. Call what is returned to end it. */
export declare function control(client: BrokerClient, names: readonly (ControlName | 'exec')[]): () => void;
